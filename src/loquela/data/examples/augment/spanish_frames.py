"""Other ways to ask for the same in Spanish; the verb changes its form with the frame that it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from loquela.data.examples.augment.sentences import is_one_sentence, lowered, without_end
from loquela.data.examples.augment.variation import Variation


@dataclass(frozen=True)
class VerbForm:
    """An imperative's other forms: `subjunctive` is of the person that the imperative speaks to."""

    infinitive: str
    subjunctive: str
    formal: bool


# infinitive, imperative tú, subjunctive tú; the imperative for usted is the subjunctive without its last letter.
_VERBS = """
analizar analiza analices / añadir añade añadas / calcular calcula calcules / cambiar cambia cambies /
clasificar clasifica clasifiques / comparar compara compares / completar completa completes /
componer compón compongas / considerar considera consideres / construir construye construyas /
convertir convierte conviertas / corregir corrige corrijas / crear crea crees / definir define definas /
describir describe describas / determinar determina determines / diseñar diseña diseñes / elaborar elabora elabores /
elegir elige elijas / eliminar elimina elimines / encontrar encuentra encuentres / enumerar enumera enumeres /
escoger escoge escojas / escribir escribe escribas / evaluar evalúa evalúes / explicar explica expliques /
formular formula formules / generar genera generes / hacer haz hagas / identificar identifica identifiques /
imaginar imagina imagines / indicar indica indiques / inventar inventa inventes / leer lee leas /
mencionar menciona menciones / mostrar muestra muestres / nombrar nombra nombres / ordenar ordena ordenes /
organizar organiza organices / predecir predice predigas / preparar prepara prepares / proponer propón propongas /
proporcionar proporciona proporciones / recomendar recomienda recomiendes / redactar redacta redactes /
reescribir reescribe reescribas / resolver resuelve resuelvas / responder responde respondas /
resumir resume resumas / seleccionar selecciona selecciones / señalar señala señales /
simplificar simplifica simplifiques / sugerir sugiere sugieras / traducir traduce traduzcas /
transformar transforma transformes / usar usa uses / utilizar utiliza utilices / decirme dime medigas /
darme dame medes / explicarme explícame meexpliques / hacerme hazme mehagas / contarme cuéntame mecuentes
"""


def _forms() -> dict[str, VerbForm]:
    found: dict[str, VerbForm] = {}
    for entry in _VERBS.replace("\n", " ").split("/"):
        infinitive, informal, subjunctive = entry.split()
        if infinitive.endswith("me"):
            # The pronoun moves in front of a subjunctive.
            found[informal] = VerbForm(infinitive, f"me {subjunctive.removeprefix('me')}", formal=False)
            continue
        found[informal] = VerbForm(infinitive, subjunctive, formal=False)
        found[subjunctive.removesuffix("s")] = VerbForm(infinitive, subjunctive.removesuffix("s"), formal=True)
    return found


FORMS = _forms()
# "Resume de …" would be a noun's sentence.
_AFTER_NOUN = frozenset("de del es son era".split())
_OTHER_VERB = re.compile(r"(?:\by\s+|,\s*|\be\s+|\bluego\s+|\bdespués\s+)(\w+)", re.IGNORECASE)
_QUESTION_FRAMES = (
    ("responde", "Responde a esta pregunta: {}"),
    ("tengo", "Tengo una pregunta: {}"),
    ("por_favor", "Por favor, contesta a lo siguiente: {}"),
    ("mi_pregunta", "Esta es mi pregunta: {}"),
)


def spanish_variations(text: str) -> Iterator[Variation]:
    """Every frame whose grammar the sentence fits."""
    asked = text.strip()
    words = asked.split()
    if not words:
        return
    form = FORMS.get(words[0].lower())
    if form is not None and len(words) > 1 and words[1].lower() not in _AFTER_NOUN:
        yield from _imperative(asked, form)
    elif asked.startswith("¿") and asked.endswith("?") and is_one_sentence(asked):
        for name, frame in _QUESTION_FRAMES:
            yield Variation(frame.format(asked), f"frame:{name}")


def _imperative(asked: str, form: VerbForm) -> Iterator[Variation]:
    single = is_one_sentence(asked) and not asked.endswith((":", "?"))
    yield Variation(f"Por favor, {lowered(asked)}", "frame:por_favor")
    rest = without_end(asked).partition(" ")[2]
    if not single or _another_imperative(rest):
        return
    you_could, you_can = ("¿Podría", "¿Puede") if form.formal else ("¿Podrías", "¿Puedes")
    yield Variation(f"{you_could} {form.infinitive} {rest}?", "frame:podrias")
    yield Variation(f"{you_can} {form.infinitive} {rest}?", "frame:puedes")
    yield Variation(f"Necesito que {form.subjunctive} {rest}.", "frame:necesito_que")
    yield Variation(f"Quiero que {form.subjunctive} {rest}.", "frame:quiero_que")


def _another_imperative(rest: str) -> bool:
    """Whether a second verb of command follows, which would have to change its form too."""
    return any(found.group(1).lower() in FORMS for found in _OTHER_VERB.finditer(rest))
