"""The bus by topic, for code that knows events only by their names."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from loquela.monitoring.events import Event, EventBus

Callback = Callable[[dict[str, JsonValue]], None]


class EventBusAdaptor:
    """Publishes and subscribes by topic: the name of an event, `trainer.*` for all that begin so, `*` for all."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    def publish(self, topic: str, message: dict[str, JsonValue]) -> bool:
        """Hand `message` to every listener; true, since a listener that fails raises."""
        self._bus.publish(topic, message)
        return True

    def subscribe(self, topic: str, callback: Callback) -> str:
        """Call `callback` with the message of every event of `topic` from now on; returns a subscription id."""

        def listen(event: Event) -> None:
            if event.name == topic or (topic.endswith("*") and event.name.startswith(topic[:-1])):
                callback(event.data)

        return self._bus.subscribe(listen)

    def unsubscribe(self, subscription_id: str) -> bool:
        """Stop calling that callback; whether there was one."""
        return self._bus.unsubscribe(subscription_id)
