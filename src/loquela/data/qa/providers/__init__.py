"""Who asks and answers: Claude, any endpoint that speaks OpenAI's protocol, or rules without a model."""
