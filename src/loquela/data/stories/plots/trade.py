# ruff: noqa: E501 - one sentence of the tables stays on one line
"""A present is wanted, and it takes two exchanges to come by it."""

from __future__ import annotations

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles
from loquela.data.stories.things import PLACES, TREASURES

OUTLINE = """
open hobby?
wish purse
price
think~ low?
second_meets
second_asks~
first_given~
first_deal
back deal
present
elder_says
glad? end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("A Present for {name elder}", "Un regalo para {name elder}"),
        ("The {T mine}, the {T other} and the {T goal}", "{El mine}, {El other} y {El goal}"),
        ("The Good Exchange", "El buen cambio"),
    ),
    "wish": wordings(
        (
            "It would soon be the birthday of {elder*}, who had always dreamed of having {a goal}.",
            "Se acercaba el cumpleaños {del elder}, que siempre había soñado con tener {un goal}.",
        ),
        (
            "{elder*} had lost {a goal} in the last flood, and {hero*} wanted to give {him elder} the very same present.",
            "{elder*} había perdido {un goal} en la última inundación, y {hero*} quería hacerle un regalo igual.",
        ),
    ),
    "purse": wordings(
        ("But {hero} had no money, only {a mine}.", "Pero {hero*} no tenía dinero, solo {un mine}."),
        (
            "{hero} looked in {his hero} pockets: not a coin, nothing but {a mine} in the bag.",
            "{hero*} buscó en los bolsillos: ni una moneda, y en la bolsa solo {un mine}.",
        ),
    ),
    "price": wordings(
        (
            '"I do have {a goal}," said {intro seller}, {at place}, "but I would only give {them goal} away for {a other}."',
            "—Sí que tengo {un goal} —dijo {intro seller}, {en place}—, pero solo {lo goal} cambiaría por {un other}.",
        ),
        (
            '"Money?" laughed {intro seller} {at place}. "Bring me {a other}, and {the goal} will be yours."',
            "—¿Dinero? —rio {intro seller} {en place}—. Tráeme {un other}, y {el goal} {v goal ser fut} para ti.",
        ),
    ),
    "think": wordings(
        (
            "{hero*} walked around the town, thinking: who could have {a other}?",
            "{hero*} dio vueltas por la ciudad, pensando: ¿quién podría tener {un other}?",
        ),
        (
            "{hero*} asked from door to door for {a other}, and every door closed again.",
            "{hero*} preguntó de puerta en puerta por {un other}, y todas las puertas se cerraban.",
        ),
    ),
    "second_meets": wordings(
        (
            "At last {he hero} met {intro owner}, who was sitting on a bench beside {a other}.",
            "Por fin se encontró con {intro owner}, que estaba en un banco junto a {un other}.",
        ),
        (
            "On the way home, {he hero} saw {intro owner}, who was packing {a other} into a box.",
            "De vuelta a casa, vio a {intro owner}, que guardaba {un other} en una caja.",
        ),
    ),
    "second_asks": wordings(
        (
            '"{is other} {that other} {n other} yours?" asked {hero*}. "What would you take for {them other}?"',
            "—¿{v other ser pres} tuy{o other} {ese other} {n other}? —preguntó {hero*}—. ¿Por qué {lo other} cambiarías?",
        ),
        (
            '"I need {that other} {n other} very much," said {hero*}. "What can I do for you?"',
            "—Necesito mucho {ese other} {n other} —dijo {hero*}—. ¿Qué puedo hacer por ti?",
        ),
    ),
    "first_given": wordings(
        (
            "{owner*} saw {the mine} and smiled. As a child, {he owner} had owned {a mine} just like {that mine}.",
            "{owner*} vio {el mine} y sonrió. De pequeñ{o owner}, había tenido {un mine} igual{es mine}.",
        ),
        ("{owner*} could not take {his owner} eyes off {the mine}.", "{owner*} no podía apartar los ojos {del mine}."),
    ),
    "first_deal": wordings(
        (
            '"Give me {the mine}," said {owner*}, "and take {the other}."',
            "—Dame {el mine} —dijo {owner*}— y llévate {el other}.",
        ),
        (
            '"{the other} for {the mine}," said {owner*}. "Is it a deal?"',
            "—{el other} por {el mine} —dijo {owner*}—. ¿Trato hecho?",
        ),
    ),
    "back": wordings(
        (
            "{hero*} ran back with {the other} without stopping once.",
            "{hero*} volvió corriendo con {el other} sin parar ni una vez.",
        ),
        (
            "It was hard to say goodbye to {the mine}, but {hero*} thought of {elder*}, agreed, and hurried back.",
            "Le costó despedirse {del mine}, pero {hero*} pensó en {elder*}, aceptó y volvió a toda prisa.",
        ),
    ),
    "deal": wordings(
        (
            "{seller*} kept {his seller} word and handed over {the goal} in exchange for {the other}.",
            "{seller*} cumplió su palabra y entregó {el goal} a cambio {del other}.",
        ),
        (
            "{seller*} looked at {the other} twice, nodded, and wrapped {the goal} in blue paper.",
            "{seller*} miró {el other} dos veces, asintió y envolvió {el goal} en papel azul.",
        ),
    ),
    "present": wordings(
        (
            "On the birthday, {elder*} opened the parcel with trembling fingers.",
            "El día del cumpleaños, {elder*} abrió el paquete con dedos temblorosos.",
        ),
        (
            "That very evening {hero*} left the parcel on {elder's} table.",
            "Aquella misma noche, {hero*} dejó el paquete en la mesa {del elder}.",
        ),
    ),
    "elder_says": wordings(
        ('"{a goal}!" cried {elder*}. "How did you do it?"', "—¡{un goal}! —exclamó {elder*}—. ¿Cómo lo has hecho?"),
        (
            '"And your {n mine}?" asked {elder*}. "You loved {them mine} so much!"',
            "—¿Y {tu mine}? —preguntó {elder*}—. ¡Con lo que te {v mine gustar imp}!",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws three things and the two who exchange them."""
    hero, elder = draw.hero(), draw.elder()
    roles = common_roles(draw, hero)
    roles.entities |= {
        "elder": elder,
        "seller": draw.grown(),
        "owner": draw.grown(),
        "mine": draw.thing(TREASURES),
        "other": draw.thing(TREASURES),
        "goal": draw.thing(TREASURES),
        "place": draw.place(PLACES),
    }
    return build_plot("trade", OUTLINE, (WORDINGS, SHARED), roles, draw)
