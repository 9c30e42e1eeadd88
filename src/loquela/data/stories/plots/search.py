"""Something dear is lost, and has to be looked for."""

# ruff: noqa: E501 - one sentence of the tables stays on one line

from __future__ import annotations

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Plot
from loquela.data.stories.obstacles import OBSTACLES, PLANTS_IN_SILENCE
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles
from loquela.data.stories.things import FAR, TREASURES

OUTLINE = """
open hobby? cherish
notice low~
ask
answer plant
set_off~ obstacle failure remedy
found culprit/spot~ glad?
home_again
end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("The Lost {n thing}", "{el thing} perdid{o thing}"),
        ("{name hero} and the {T thing}", "{name hero} y {El thing}"),
        ("Where {is thing} the {T thing}?", "¿Dónde {v thing estar pres} {El thing}?"),
    ),
    "cherish": wordings(
        (
            "{his hero} greatest treasure was {a thing}, a present from {elder*}.",
            "Su mayor tesoro {v thing ser imp} {un thing}, regalo {del elder}.",
        ),
        (
            "{elder*} had given {him hero} {a thing}, and {hero*} never went out without {them thing}.",
            "{elder*} le había regalado {un thing}, y {hero*} nunca salía sin {él thing}.",
        ),
        (
            "{hero} owned {a thing} that had once belonged to {elder*}.",
            "{hero} tenía {un thing} que antes había sido {del elder}.",
        ),
    ),
    "notice": wordings(
        (
            "{=when}, {hero} looked for {the thing} and could not find {them thing} anywhere.",
            "{=when}, {hero} buscó {el thing} y no {lo thing} encontró por ninguna parte.",
        ),
        ("{=when}, {the thing} {was thing} gone.", "{=when}, {el thing} {v thing haber imp} desaparecido."),
        (
            "{=when}, {hero} opened the cupboard: {the thing} {was thing} not there.",
            "{=when}, {hero} abrió el armario: {el thing} no {v thing estar imp} allí.",
        ),
        (
            "{=when}, {hero} came back from a walk and saw that {the thing} {was thing} missing.",
            "{=when}, {hero} volvió de un paseo y vio que {v thing faltar imp} {el thing}.",
        ),
    ),
    "ask": wordings(
        (
            '"Have you seen my {n thing}?" {hero*} asked {intro helper}.',
            "—¿Has visto {mi thing}? —le preguntó {hero*} a {intro helper}.",
        ),
        (
            '"I have lost my {n thing}!" {hero*} told {intro helper}. "What shall I do?"',
            "—¡He perdido {mi thing}! —le dijo {hero*} a {intro helper}—. ¿Qué voy a hacer?",
        ),
        (
            '"Please help me," {hero*} said to {intro helper}. "My {n thing} {is thing} gone."',
            "—Ayúdame, por favor —le dijo {hero*} a {intro helper}—. {mi thing} {v thing haber pres} desaparecido.",
        ),
    ),
    "answer": wordings(
        (
            '"I saw {a thing} {at place} this morning," said {helper*}, "but I did not know whose {it thing} {was thing}."',
            "—Esta mañana vi {un thing} {en place} —dijo {helper*}—, pero no sabía de quién {v thing ser imp}.",
        ),
        (
            '"You were {at place} yesterday," said {helper*}. "Perhaps you left {them thing} there."',
            "—Ayer estuviste {en place} —dijo {helper*}—. Quizá {lo thing} dejaste allí.",
        ),
        (
            '"The wind was strong last night," said {helper*}. "Look {at place}: everything ends up there."',
            "—Anoche hizo mucho viento —dijo {helper*}—. Busca {en place}: allí va a parar todo.",
        ),
        (
            '"A magpie flew over my roof with something in its beak," answered {helper*}. "It was going to {the place}."',
            "—Una urraca pasó sobre mi tejado con algo en el pico —respondió {helper*}—. Iba hacia {el place}.",
        ),
    ),
    "plant": PLANTS_IN_SILENCE,
    "found": wordings(
        ("And there, {at place}, {was thing} {the thing}.", "Y allí, {en place}, {v thing estar imp} {el thing}."),
        (
            "When {hero} reached {the place}, {he hero} saw {the thing} at once.",
            "Al llegar {al place}, {hero} vio enseguida {el thing}.",
        ),
        (
            "{hero} searched every corner of {the place}, and at last {he hero} found {the thing}.",
            "{hero} registró cada rincón {del place} y por fin encontró {el thing}.",
        ),
    ),
    "culprit": wordings(
        (
            "A magpie had made a nest with {them thing}, so {hero} gave the bird a ribbon in exchange.",
            "Una urraca {lo thing} había puesto en su nido, así que {hero} le dio al pájaro una cinta a cambio.",
        ),
        (
            "A puppy was asleep on top of {them thing}, and {hero} did not have the heart to be angry.",
            "Un cachorro dormía encima, y a {name hero} le dio pena enfadarse.",
        ),
        (
            "The wind had left {them thing} hanging from a branch, as if to play a joke.",
            "El viento {lo thing} había dejado colgando de una rama, como gastando una broma.",
        ),
    ),
    "spot": wordings(
        (
            "{it thing} {was thing} covered with mud, but not broken.",
            "{v thing estar imp} llen{o thing} de barro, pero no rot{o thing}.",
        ),
        (
            "{it thing} had been under a heap of dry leaves all the time.",
            "Todo ese tiempo {v thing haber imp} estado bajo un montón de hojas secas.",
        ),
    ),
    "home_again": wordings(
        (
            '"Thank you!" {hero*} said to {helper*} on the way back. "Without you and your {n tool} I would still be crying."',
            "—¡Gracias! —le dijo {hero*} {al helper} a la vuelta—. Sin ti y sin {tu tool}, todavía estaría llorando.",
        ),
        (
            '"I will never leave {them thing} lying about again," {hero*} told {helper*} that evening.',
            "—Nunca más {lo thing} dejaré en cualquier sitio —le dijo {hero*} {al helper} aquella noche.",
        ),
        (
            '"Keep {the tool}," said {helper*}. "Someone else may need your help one day."',
            "—Quédate con {el tool} —dijo {helper*}—. Algún día alguien necesitará tu ayuda.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws a search: hero, treasure, giver, helper with a tool, place and obstacle."""
    hero, elder = draw.hero(), draw.elder()
    roles = common_roles(draw, hero)
    thing = draw.thing(TREASURES)
    obstacle = draw.one(OBSTACLES)
    tool = obstacle.tool(draw)
    while tool.english == thing.english:
        obstacle = draw.one(OBSTACLES)
        tool = obstacle.tool(draw)
    helper = draw.neighbor()
    roles.entities |= {"elder": elder, "thing": thing, "tool": tool, "helper": helper, "giver": helper}
    roles.entities["place"] = draw.place(FAR)
    return build_plot("search", OUTLINE, (WORDINGS, obstacle.wordings(tool), SHARED), roles, draw)
