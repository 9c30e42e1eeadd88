"""Ways to tell a person: a notification of an alert → mail, Slack, PagerDuty, Discord, a webhook, Apprise."""
