"""Something that is badly needed has to be carried a long way."""

from __future__ import annotations

from typing import NamedTuple

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Entity, Phrase, Plot
from loquela.data.stories.obstacles import OBSTACLES, PLANTS
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles
from loquela.data.stories.things import FAR


class Errand(NamedTuple):
    """What is carried, why it is needed, and what it changes."""

    cargo: Entity
    need: Phrase
    effect: Phrase


ERRANDS = (
    Errand(
        Entity("medicine", "medicina", "f", counter=("a bottle of", "un frasco de")),
        Phrase(
            "{elder*} had a fever and could not leave the bed.",
            "{elder*} tenía fiebre y no podía levantarse de la cama.",
        ),
        Phrase(
            "By nightfall the fever was gone, and {elder*} asked for soup.",
            "Al anochecer ya no había fiebre, y {elder*} pidió sopa.",
        ),
    ),
    Errand(
        Entity("letter", "carta", "f"),
        Phrase(
            "{elder*} had been waiting for news from the other side of the sea.",
            "{elder*} llevaba mucho tiempo esperando noticias del otro lado del mar.",
        ),
        Phrase(
            "{elder} read it twice, first with tears and then with laughter.",
            "{elder} la leyó dos veces, primero con lágrimas y luego entre risas.",
        ),
    ),
    Errand(
        Entity("seeds", "semillas", "f", plural=True, counter=("a bag of", "una bolsa de")),
        Phrase("{elder*} had lost the whole harvest to the frost.", "La helada había dejado sin cosecha {al elder}."),
        Phrase(
            "They planted them at once, and in a few weeks the field was green.",
            "Las sembraron enseguida, y a las pocas semanas el campo estaba verde.",
        ),
    ),
    Errand(
        Entity("blankets", "mantas", "f", plural=True),
        Phrase(
            "{elder*} had no more firewood, and the nights were freezing.",
            "{elder*} se había quedado sin leña, y las noches eran heladas.",
        ),
        Phrase("That night nobody was cold under that roof.", "Aquella noche nadie pasó frío bajo aquel techo."),
    ),
    Errand(
        Entity("hen", "gallina", "f"),
        Phrase(
            "A fox had frightened away {elder's} only hen.",
            "Un zorro había espantado la única gallina {del elder}.",
        ),
        Phrase(
            "The very next day it laid an egg, and {elder*} made a cake.",
            "Al día siguiente puso un huevo, y {elder*} hizo un pastel.",
        ),
    ),
    Errand(
        Entity("cake", "pastel", "m"),
        Phrase(
            "It was the birthday of {elder*}, who lived all alone.",
            "Era el cumpleaños {del elder}, que vivía sin compañía.",
        ),
        Phrase(
            "{elder} blew out the candles and cut a slice for everyone who passed by.",
            "{elder} sopló las velas y cortó un trozo para todo el que pasaba.",
        ),
    ),
    Errand(
        Entity("flour", "harina", "f", counter=("a sack of", "un saco de")),
        Phrase("{elder*} had no bread left in the pantry.", "{al elder} no le quedaba pan en la despensa."),
        Phrase(
            "Soon the oven was hot, and the smell of fresh bread filled the air.",
            "Pronto el horno estuvo caliente, y el olor a pan recién hecho llenó el aire.",
        ),
    ),
    Errand(
        Entity("wheel", "rueda", "f"),
        Phrase(
            "{elder's} cart had broken down with all the vegetables for the market.",
            "El carro {del elder} se había roto con todas las verduras para el mercado.",
        ),
        Phrase(
            "In an hour the cart was rolling again, and not one tomato was lost.",
            "En una hora el carro volvió a rodar, y no se perdió ni un tomate.",
        ),
    ),
    Errand(
        Entity("violin", "violín", "m"),
        Phrase(
            "{elder*} had to play at a wedding, and a string of the old violin had snapped.",
            "{elder*} tenía que tocar en una boda, y al viejo violín se le había roto una cuerda.",
        ),
        Phrase(
            "At the wedding {elder} played so well that even the trees seemed to dance.",
            "En la boda {elder} tocó tan bien que hasta los árboles parecían bailar.",
        ),
    ),
    Errand(
        Entity("honey", "miel", "f", counter=("a jar of", "un tarro de")),
        Phrase(
            "{elder*} had lost {his elder} voice, and had promised to sing on Sunday.",
            "{elder*} se había quedado sin voz, y había prometido cantar el domingo.",
        ),
        Phrase("On Sunday {elder} sang like a nightingale.", "El domingo {elder} cantó como un ruiseñor."),
    ),
    Errand(
        Entity("lamp", "lámpara", "f"),
        Phrase(
            "{elder*} looked after the boats, and the only lamp on the shore had gone out.",
            "{elder*} cuidaba de las barcas, y la única lámpara de la orilla se había apagado.",
        ),
        Phrase(
            "That night all the boats found their way home.",
            "Aquella noche todas las barcas encontraron el camino a casa.",
        ),
    ),
)

OUTLINE = """
open hobby?
need offer
go
plant
set_off? obstacle failure low_road? remedy
arrive effect
thanks
end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("The Road to the {T place}", "El camino {del place}"),
        ("{name hero} Goes to the {T place}", "{name hero} va {al place}"),
        ("The {T cargo} and the {T tool}", "{El cargo} y {El tool}"),
    ),
    "need": wordings(
        ("{=when}, news came from {the place}. {=need}", "{=when}, llegaron noticias {del place}. {=need}")
    ),
    "offer": wordings(
        (
            '"Someone must take {a cargo} to {the place}," said {intro helper}.',
            "—Alguien tiene que llevar {un cargo} {al place} —dijo {intro helper}.",
        ),
        (
            '"{a cargo}, that is what we must send," said {intro helper}. "But who will go?"',
            "—{un cargo}, eso es lo que hay que mandar —dijo {intro helper}—. Pero ¿quién irá?",
        ),
    ),
    "go": wordings(
        (
            '"I will go," said {hero*}, who had never been so far from home.',
            "—Iré yo —dijo {hero*}, que nunca se había alejado tanto de casa.",
        ),
        ('"Let me do it," begged {hero*}. "I know the way."', "—Déjame a mí —pidió {hero*}—. Conozco el camino."),
        ('"I am small, but I am fast," said {hero*}.', "—Soy pequeñ{o hero}, pero corro mucho —dijo {hero*}."),
    ),
    "plant": PLANTS,
    "arrive": wordings(
        (
            "At sunset {hero} knocked at {elder's} door, with {the cargo} safe and sound.",
            "Al atardecer, {hero} llamó a la puerta {del elder}, con {el cargo} a salvo.",
        ),
        (
            "{hero} arrived with sore feet, but {the cargo} {was cargo} safe.",
            "{hero} llegó con los pies doloridos, pero {el cargo} {v cargo estar imp} a salvo.",
        ),
        (
            "When {hero} came in with {the cargo}, {elder*} could not believe it.",
            "Cuando {hero} entró con {el cargo}, {elder*} no se lo podía creer.",
        ),
    ),
    "effect": wordings(("{=effect}", "{=effect}")),
    "thanks": wordings(
        (
            '"You came all this way for me!" said {elder*}, and gave {him hero} a big hug.',
            "—¡Has venido hasta aquí por mí! —dijo {elder*}, y le dio un fuerte abrazo.",
        ),
        (
            '"And all that with nothing but {a tool}!" said {elder*}, quite amazed.',
            "—¡Y todo eso sin más ayuda que {un tool}! —dijo {elder*} con asombro.",
        ),
        (
            '"Tell {helper*} that I will never forget this," said {elder*}.',
            "—Dile {al helper} que nunca lo olvidaré —dijo {elder*}.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws an errand: hero, what is carried, sender, receiver, road and obstacle."""
    hero, elder = draw.hero(), draw.elder()
    roles = common_roles(draw, hero)
    errand = draw.one(ERRANDS)
    obstacle = draw.one(OBSTACLES)
    tool = obstacle.tool(draw)
    helper = draw.neighbor()
    roles.entities |= {"elder": elder, "cargo": errand.cargo, "tool": tool, "helper": helper, "giver": helper}
    roles.entities["place"] = draw.place(FAR)
    roles.phrases |= {"need": errand.need, "effect": errand.effect}
    return build_plot("journey", OUTLINE, (WORDINGS, obstacle.wordings(tool), SHARED), roles, draw)
