# ruff: noqa: E501 - one sentence of the tables stays on one line
"""A seed is planted; impatience and a hungry guest come first, and the harvest is shared."""

from __future__ import annotations

from typing import NamedTuple

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Entity, Phrase, Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles
from loquela.data.stories.things import PLACES


class Pest(NamedTuple):
    """Who eats the leaves, and how it is won over."""

    damage: Phrase
    cure: Phrase


CROPS = (
    Entity("pumpkin", "calabaza", "f"),
    Entity("watermelon", "sandía", "f"),
    Entity("sunflower", "girasol", "m"),
    Entity("lemon tree", "limonero", "m"),
    Entity("strawberries", "fresas", "f", plural=True),
    Entity("tomatoes", "tomates", "m", plural=True),
    Entity("melon", "melón", "m"),
    Entity("beans", "judías", "f", plural=True),
    Entity("cherry tree", "cerezo", "m"),
    Entity("carrots", "zanahorias", "f", plural=True),
    Entity("grapevine", "parra", "f"),
    Entity("rosebush", "rosal", "m"),
)
PESTS = tuple(
    Pest(Phrase(*damage), Phrase(*cure))
    for damage, cure in (
        (
            (
                "But the snails came by night and ate the first leaves.",
                "Pero los caracoles llegaron de noche y se comieron las primeras hojas.",
            ),
            (
                "So {hero} put out a dish of lettuce for the snails at the other end of the garden, and they moved there.",
                "Así que {hero} les puso a los caracoles un plato de lechuga en la otra punta del jardín, y allí se mudaron.",
            ),
        ),
        (
            (
                "But some crows discovered the place and pulled up the first leaves.",
                "Pero unos cuervos descubrieron el lugar y arrancaron las primeras hojas.",
            ),
            (
                "So {hero} dressed a broom in an old coat, and the crows flew away in a fright.",
                "Así que {hero} vistió una escoba con un abrigo viejo, y los cuervos huyeron del susto.",
            ),
        ),
        (
            (
                "But there was no rain for a month, and the leaves turned yellow.",
                "Pero no llovió en un mes, y las hojas se pusieron amarillas.",
            ),
            (
                "So every evening {hero} saved the water from the bath and carried it out in a teapot.",
                "Así que cada noche {hero} guardaba el agua del baño y la llevaba fuera en una tetera.",
            ),
        ),
        (
            (
                "But weeds grew on all sides and left no room for the little leaves.",
                "Pero las malas hierbas crecieron por todas partes y no dejaban sitio a las hojitas.",
            ),
            (
                "So {hero} pulled up ten weeds every morning, not one more and not one less, until there were none.",
                "Así que {hero} arrancó diez malas hierbas cada mañana, ni una más ni una menos, hasta que no quedó ninguna.",
            ),
        ),
        (
            (
                "But one night a frost burned the tips of the leaves.",
                "Pero una noche la helada quemó las puntas de las hojas.",
            ),
            (
                "So {hero} covered the leaves with a blanket every night and uncovered them at dawn.",
                "Así que {hero} tapó las hojas con una manta cada noche y las destapó al amanecer.",
            ),
        ),
        (
            (
                "But a hungry goat jumped over the fence and had the leaves for breakfast.",
                "Pero una cabra hambrienta saltó la valla y desayunó hojas.",
            ),
            (
                "So {hero} gave the goat the kitchen scraps every day, and it never came in again.",
                "Así que {hero} le dio a la cabra las sobras de la cocina todos los días, y nunca volvió a entrar.",
            ),
        ),
    )
)

SOIL = tuple(
    place for place in PLACES if place.english in {"meadow", "orchard", "garden", "hill", "valley", "vineyard", "well"}
)

OUTLINE = """
open hobby?
gift
plant
waits impatient~
patience
damage low~
cure
grew glad?
visitor
share end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("{name hero}'s Garden", "El jardín de {name hero}"),
        ("{name hero} and the {n crop}", "{name hero} y {el crop}"),
        ("The Patience of a Seed", "La paciencia de una semilla"),
        ("Under the Earth", "Bajo la tierra"),
    ),
    "gift": wordings(
        (
            "{=when}, {elder*} gave {hero*} a few seeds.",
            "{=when}, {elder*} le dio {al hero} unas semillas.",
        ),
        (
            "{=when}, a letter came from {elder*}, with some seeds inside.",
            "{=when}, llegó una carta {del elder} con unas semillas dentro.",
        ),
        (
            "{=when}, {hero} found in an old coat some seeds that had belonged to {elder*}.",
            "{=when}, {hero} encontró en un abrigo viejo unas semillas que habían sido {del elder}.",
        ),
    ),
    "plant": wordings(
        (
            "{hero*} dug a hole {at place}, planted the seeds, and watered them with care.",
            "{hero*} hizo un hoyo {en place}, plantó las semillas y las regó con cuidado.",
        ),
        (
            "{hero*} chose a sunny spot {at place} and covered the seeds with soft earth.",
            "{hero*} eligió un rincón soleado {en place} y cubrió las semillas con tierra suave.",
        ),
    ),
    "waits": wordings(
        (
            "The next day {hero} came back: nothing. The day after, nothing again.",
            "Al día siguiente {hero} volvió: nada. Al otro, nada tampoco.",
        ),
        (
            "{hero} looked at the ground every hour, but the ground said nothing.",
            "{hero} miraba la tierra a cada hora, pero la tierra no decía nada.",
        ),
    ),
    "impatient": wordings(
        (
            "{hero} even sang to the seeds, in case they were asleep.",
            "{hero} hasta les cantó a las semillas, por si estaban dormidas.",
        ),
        (
            "{hero} almost dug them up to see what they were doing.",
            "{hero} estuvo a punto de desenterrarlas para ver qué hacían.",
        ),
    ),
    "patience": wordings(
        (
            '"Seeds cannot read the clock," said {intro neighbor}. "Give them time."',
            "—Las semillas no entienden de relojes —dijo {intro neighbor}—. Dales tiempo.",
        ),
        (
            '"They are growing downward first," explained {intro neighbor}. "Roots come before leaves."',
            "—Primero crecen hacia abajo —explicó {intro neighbor}—. Antes que las hojas van las raíces.",
        ),
        (
            '"Water, sun and a little patience," advised {intro neighbor}. "There is no other secret."',
            "—Agua, sol y un poco de paciencia —aconsejó {intro neighbor}—. No hay otro secreto.",
        ),
    ),
    "grew": wordings(
        (
            "In the end {the crop} {was crop} the talk of the whole town.",
            "Al final, todo el pueblo hablaba {del crop}.",
        ),
        (
            "Little by little {the crop} grew, until even the birds stopped to look.",
            "Poco a poco {v crop crecer pret} {el crop}, hasta que los pájaros mismos se paraban a mirar.",
        ),
        (
            "And where there had been only earth, there {was crop} now {the crop}, shining in the sun.",
            "Y donde solo había tierra, ahora {v crop estar imp} {el crop}, brillando al sol.",
        ),
    ),
    "visitor": wordings(
        (
            '"So much beauty from a few seeds!" said {elder*}.',
            "—¡Tanta belleza de unas pocas semillas! —dijo {elder*}.",
        ),
        (
            '"You did not give up," said {neighbor*}. "That is what makes a gardener."',
            "—No te rendiste —dijo {neighbor*}—. Eso es lo que hace falta para cuidar un jardín.",
        ),
        (
            '"What is your secret?" asked {elder*}, full of wonder.',
            "—¿Cuál es tu secreto? —preguntó {elder*} con asombro.",
        ),
    ),
    "share": wordings(
        (
            "{hero*} kept a handful of new seeds and gave one to every neighbor.",
            "{hero*} guardó un puñado de semillas nuevas y le dio una a cada vecino.",
        ),
        (
            "{hero*} sat down beside {the crop} with {neighbor*}, and they said nothing, because nothing was missing.",
            "{hero*} se sentó junto {al crop} con {neighbor*}, y no dijeron nada, porque no faltaba nada.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws a giver, a crop, a danger and a neighbor who knows about time."""
    hero = draw.hero()
    roles = common_roles(draw, hero)
    pest = draw.one(PESTS)
    roles.entities |= {
        "elder": draw.elder(),
        "neighbor": draw.neighbor(),
        "crop": draw.one(CROPS),
        "place": draw.place(SOIL),
    }
    events = {"damage": (pest.damage,), "cure": (pest.cure,)}
    return build_plot("garden", OUTLINE, (events, WORDINGS, SHARED), roles, draw)
