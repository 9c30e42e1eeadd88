"""Spanish words that can stand for each other: nouns of one gender, adjectives form by form, verbs form by form."""

from __future__ import annotations

import re

from loquela.data.examples.augment.sentences import whole_word

# Forms that correspond, left → right. Articles and adjectives around them stay right: gender and number are the same.
_PAIRS = """
error = fallo
errores = fallos
objetivo = propósito
objetivos = propósitos
propósito = objetivo
propósitos = objetivos
respuesta = contestación
respuestas = contestaciones
coche = automóvil
coches = automóviles
automóvil = coche
automóviles = coches
lugar = sitio
lugares = sitios
sitio = lugar
inicio = comienzo
comienzo = inicio
importancia = relevancia
método = procedimiento
métodos = procedimientos
tarea = labor
tareas = labores
importante = relevante
importantes = relevantes
relevante = importante
relevantes = importantes
rápido = veloz
rápida = veloz
rápidos = veloces
rápidas = veloces
complicado = difícil
complicada = difícil
complicados = difíciles
complicadas = difíciles
sencillo = simple
sencilla = simple
sencillos = simples
sencillas = simples
corto = breve
corta = breve
cortos = breves
cortas = breves
principal = fundamental
principales = fundamentales
además = asimismo
quizás = tal vez
quizá = tal vez
tal vez = quizás
casi = prácticamente
normalmente = habitualmente
habitualmente = normalmente
a menudo = con frecuencia
con frecuencia = a menudo
actualmente = hoy en día
solamente = únicamente
únicamente = solamente
debido a = a causa de
con el fin de = para
con el objetivo de = para
acerca de = sobre
utiliza = usa
utilice = use
utilizar = usar
utilizando = usando
utilizan = usan
utilizado = usado
utilizada = usada
usar = utilizar
usando = utilizando
usan = utilizan
comenzar = empezar
comienza = empieza
comience = empiece
empezar = comenzar
empieza = comienza
empiece = comience
obtener = conseguir
obtiene = consigue
obtenga = consiga
conseguir = obtener
elegir = escoger
elige = escoge
elija = escoja
escoger = elegir
escoge = elige
responder = contestar
responde = contesta
responda = conteste
contestar = responder
contesta = responde
"""


def spanish_rules() -> list[tuple[str, str]]:
    """(regular expression, replacement): what may stand for what."""
    lines = (line.partition("=") for line in _PAIRS.split("\n") if line)
    return [(whole_word(left.strip()), right.strip()) for left, _, right in lines]


_RUN_TOGETHER = {"a": "al", "A": "Al", "de": "del", "De": "Del"}
_AND = re.compile(r"\b([ye])(\s+)(\w+)", re.IGNORECASE)
_OR = re.compile(r"\b([ou])(\s+)(\w+)", re.IGNORECASE)
_LIKE_I = re.compile(r"^(?:i(?!o)|hi(?![ae])|í|hí)", re.IGNORECASE)
_LIKE_O = re.compile(r"^h?[oó]", re.IGNORECASE)


def spanish_agreement(text: str) -> str:
    """`y` before the sound of i is `e`, `o` before that of o is `u`; `de el` and `a el` run together."""
    text = _AND.sub(lambda found: _joined(found, "e" if _LIKE_I.match(found.group(3)) else "y"), text)
    text = _OR.sub(lambda found: _joined(found, "u" if _LIKE_O.match(found.group(3)) else "o"), text)
    return re.sub(r"\b([Aa]|[Dd]e) el\b", lambda found: _RUN_TOGETHER[found.group(1)], text)


def _joined(found: re.Match[str], word: str) -> str:
    return (word.upper() if found.group(1).isupper() else word) + found.group(2) + found.group(3)
