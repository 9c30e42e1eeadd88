"""Settings by component, for code that knows them only by their names."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from loquela.jobs.settings import ServiceSettings
from loquela.service.live_settings import LiveSettings

# The component of every setting, also of those whose name begins with no component's.
WHOLE = "service"
Callback = Callable[[dict[str, JsonValue]], None]


class ConfigurationAdaptor:
    """Gets, changes and watches settings. `log`, `level` is the setting log_level; `service`, `log_level` is too."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live

    def get_config(self, component: str, key: str) -> JsonValue:
        """The value in force; RecipeError(CONFIG_INVALID) for a setting that there is not."""
        return self._live.get(_name(component, key))

    def update_config(self, component: str, key: str, value: JsonValue) -> bool:
        """Change one until the next start; whether it is another than before. Errors as `LiveSettings.update`."""
        return self._live.update(_name(component, key), value)

    def watch_config(self, component: str, callback: Callback) -> str:
        """Call `callback` with key → value of what changed of a component, after each change; returns an id."""
        names = {_name(component, key): key for key in _keys(component)}

        def watcher(changed: frozenset[str]) -> None:
            told = {names[name]: self._live.get(name) for name in sorted(changed & names.keys())}
            if told:
                callback(told)

        return self._live.watch(watcher)


def _name(component: str, key: str) -> str:
    return key if component == WHOLE else f"{component}_{key}"


def _keys(component: str) -> list[str]:
    fields = list(ServiceSettings.model_fields)
    if component == WHOLE:
        return fields
    return [name.removeprefix(f"{component}_") for name in fields if name.startswith(f"{component}_")]
