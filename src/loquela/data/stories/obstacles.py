"""What stands in the way, what fails, and what each tool or friend can do about it.

The tool is planted early in a story and pays here: that is where its cause and effect come from.
Roles: hero; tool; place (where the hero is going).
"""

from __future__ import annotations

from dataclasses import dataclass

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Entity, Phrase
from loquela.data.stories.plotting import Wordings, wordings
from loquela.data.stories.things import TOOLS


@dataclass(frozen=True, slots=True)
class Obstacle:
    """`states` say what is wrong, `failures` what did not work, `remedies` what each tool does."""

    states: tuple[Phrase, ...]
    failures: tuple[Phrase, ...]
    remedies: dict[str, Phrase]

    def tool(self, draw: Draw) -> Entity:
        """One of the tools that help."""
        return TOOLS[draw.one(tuple(self.remedies))]

    def wordings(self, tool: Entity) -> Wordings:
        """The kinds `obstacle`, `failure` and `remedy` for an outline."""
        return {"obstacle": self.states, "failure": self.failures, "remedy": (self.remedies[tool.english],)}


def _remedies(**pairs: tuple[str, str]) -> dict[str, Phrase]:
    return {key.replace("_", " "): Phrase(*pair) for key, pair in pairs.items()}


OBSTACLES = (
    Obstacle(
        wordings(
            (
                "Halfway there, a stream blocked the path; the rain had made it deep and wild.",
                "A mitad de camino, un arroyo cortaba el paso; la lluvia lo había vuelto hondo y bravo.",
            ),
            (
                "But the stream had risen in the night, and the water was too fast to cross.",
                "Pero el arroyo había crecido durante la noche y el agua bajaba demasiado rápida para cruzarla.",
            ),
        ),
        wordings(
            (
                "{hero} tried to jump from stone to stone, but slipped and got wet up to the ears.",
                "{hero} intentó saltar de piedra en piedra, pero resbaló y se mojó hasta las orejas.",
            ),
            (
                "{hero} stepped into the water, but the current pushed {him hero} back to the bank.",
                "{hero} se metió en el agua, pero la corriente {lo hero} devolvió a la orilla.",
            ),
        ),
        _remedies(
            rope=(
                "Then {hero} tied {the tool} to a tree and crossed, holding on tight.",
                "Entonces {hero} ató {el tool} a un árbol y cruzó sin soltarla.",
            ),
            plank=(
                "Then {hero} laid {the tool} from bank to bank and walked across with open arms.",
                "Entonces {hero} puso {el tool} de orilla a orilla y cruzó con los brazos abiertos.",
            ),
            oars=(
                "There was an empty boat among the reeds, and with {the tool} {hero} rowed to the other side.",
                "Entre los juncos había una barca vacía, y con {el tool} {hero} remó hasta la otra orilla.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "The path went through a tunnel as dark as a sack of coal.",
                "El camino pasaba por un túnel negro como el carbón.",
            ),
            (
                "Soon night fell, and {hero} could not see {his hero} own feet.",
                "Pronto cayó la noche, y {hero} no se veía ni los pies.",
            ),
        ),
        wordings(
            (
                "{hero} walked with one hand on the wall, but tripped and fell three times.",
                "{hero} avanzó a tientas, pero tropezó y se cayó tres veces.",
            ),
            (
                "{hero} closed {his hero} eyes to be less afraid, and walked straight into a wall.",
                "{hero} cerró los ojos para tener menos miedo y se dio contra una pared.",
            ),
        ),
        _remedies(
            lantern=(
                "Then {hero} remembered {the tool}, lit it, and the shadows ran away.",
                "Entonces {hero} se acordó {del tool}, lo encendió y las sombras huyeron.",
            ),
            candle=(
                "Then {hero} lit {the tool}, and its little flame showed the way.",
                "Entonces {hero} encendió {el tool}, y su llamita le mostró el camino.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "A high wall stood in the way, with no door on any side.",
                "Un muro muy alto cerraba el paso, sin puerta por ningún lado.",
            ),
            (
                "But the path ended at a cliff as smooth as glass.",
                "Pero el camino terminaba en una pared de roca lisa como el cristal.",
            ),
        ),
        wordings(
            (
                "{hero} jumped and jumped, but the top was always out of reach.",
                "{hero} saltó y saltó, pero nunca llegaba arriba.",
            ),
            (
                "{hero} piled up some stones, but the pile fell down with a crash.",
                "{hero} amontonó unas piedras, pero el montón se vino abajo con estruendo.",
            ),
        ),
        _remedies(
            ladder=(
                "Then {hero} leaned {the tool} against the stone and climbed up step by step.",
                "Entonces {hero} apoyó {el tool} en la piedra y subió peldaño a peldaño.",
            ),
            rope=(
                "Then {hero} threw {the tool} over a branch at the top and pulled {himself hero} up.",
                "Entonces {hero} lanzó {el tool} por encima de una rama de lo alto y trepó por ella.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "An iron gate closed the path, and a heavy lock hung from it.",
                "Una verja de hierro cerraba el camino, y de ella colgaba un pesado candado.",
            ),
            (
                "But the gate at the end of the path was locked.",
                "Pero la verja del final del camino estaba cerrada con candado.",
            ),
        ),
        wordings(
            (
                "{hero} pushed with all {his hero} strength, and the gate did not move an inch.",
                "{hero} empujó con todas sus fuerzas, y la verja no se movió ni un dedo.",
            ),
            ("{hero} knocked and called, but nobody came.", "{hero} llamó y gritó, pero no acudió nadie."),
        ),
        _remedies(
            key=(
                "Then {hero} tried {the tool}, and the lock opened with a click.",
                "Entonces {hero} probó con {el tool}, y el candado se abrió con un clic.",
            ),
            wire=(
                "Then {hero} bent the end of {the tool}, turned it inside the lock, and the gate opened.",
                "Entonces {hero} dobló la punta {del tool}, la giró dentro del candado y la verja se abrió.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "Suddenly the fog came down, so thick that the path disappeared.",
                "De repente bajó la niebla, tan espesa que el camino desapareció.",
            ),
            (
                "Then the path split into three, and there was no sign anywhere.",
                "Entonces el camino se dividió en tres, y no había ningún cartel.",
            ),
        ),
        wordings(
            (
                "{hero} walked for an hour and came back to the very same tree.",
                "{hero} caminó durante una hora y volvió a encontrarse ante el mismo árbol.",
            ),
            (
                "{hero} chose a way at random, and it ended in a swamp.",
                "{hero} eligió un camino al azar, y acabó en un pantano.",
            ),
        ),
        _remedies(
            compass=(
                "Then {hero} took out {the tool}, followed the needle to the north, and found the way.",
                "Entonces {hero} sacó {el tool}, siguió la aguja hacia el norte y encontró el camino.",
            ),
            whistle=(
                "Then {hero} blew {the tool}, and a shepherd's dog came and led {him hero} to the right path.",
                "Entonces {hero} sopló {el tool}, y el perro de un pastor acudió y {lo hero} llevó al buen camino.",
            ),
            bell=(
                "Then {hero} rang {the tool} again and again, until a shepherd answered and showed {him hero} the way.",
                "Entonces {hero} tocó {el tool} una y otra vez, hasta que un pastor respondió y le enseñó el camino.",
            ),
            map=(
                "Then {hero} unfolded {the tool}, found a drawing of that very spot, and took the right path.",
                "Entonces {hero} desplegó {el tool}, encontró dibujado aquel mismo lugar y tomó el camino correcto.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "Thorny bushes had grown over the path like a green wall.",
                "Unas zarzas habían cubierto el camino como un muro verde.",
            ),
            (
                "Farther on, the brambles were so thick that not even a bird could get through.",
                "Más adelante, las zarzas eran tan espesas que no pasaba ni un pájaro.",
            ),
        ),
        wordings(
            (
                "{hero} tried to squeeze through, and the thorns scratched {him hero} from head to toe.",
                "{hero} intentó colarse, y las espinas {lo hero} arañaron de la cabeza a los pies.",
            ),
            (
                "{hero} looked for a way around, but the brambles went on and on.",
                "{hero} buscó cómo rodearlas, pero las zarzas no se acababan nunca.",
            ),
        ),
        _remedies(
            gloves=(
                "Then {hero} put on {the tool} and moved the thorns aside one by one.",
                "Entonces {hero} se puso {el tool} y apartó las espinas una a una.",
            ),
            scissors=(
                "Then {hero} took {the tool} and cut a small tunnel through the leaves.",
                "Entonces {hero} tomó {el tool} y abrió un pequeño túnel entre las hojas.",
            ),
            axe=(
                "Then {hero} swung {the tool} with care and opened a way through.",
                "Entonces {hero} usó {el tool} con cuidado y se abrió paso.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "An angry goose stood in the middle of the path and would not let anyone pass.",
                "Una oca enfadada estaba en medio del camino y no dejaba pasar a nadie.",
            ),
            (
                "A huge dog was guarding the gate, and it growled like thunder.",
                "Un perro enorme guardaba la puerta, y gruñía como un trueno.",
            ),
        ),
        wordings(
            (
                "{hero} asked nicely, but the creature only made more noise.",
                "{hero*} se lo pidió con buenas palabras, pero el animal solo hizo más ruido.",
            ),
            (
                "{hero} tried to run past, and had to climb a tree in a hurry.",
                "{hero*} intentó pasar corriendo, y tuvo que subirse a un árbol a toda prisa.",
            ),
        ),
        _remedies(
            apple=(
                "Then {hero} rolled {the tool} along the ground, and while the creature ate, {he hero} tiptoed by.",
                "Entonces {hero} hizo rodar {el tool} por el suelo y, mientras el animal comía, pasó de puntillas.",
            ),
            cookie=(
                "Then {hero} shared {the tool} with the creature, and it followed {him hero} like an old friend.",
                "Entonces {hero} compartió {el tool} con el animal, que {lo hero} siguió como un viejo amigo.",
            ),
            flute=(
                "Then {hero} played a soft tune on {the tool}, and the creature lay down and fell asleep.",
                "Entonces {hero} tocó con {el tool} una melodía suave, y el animal se echó y se durmió.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "A fallen tree lay across the road, too big to climb over.",
                "Un árbol caído atravesaba el camino, demasiado grande para pasar por encima.",
            ),
            (
                "The storm had thrown a great pine tree across the path.",
                "La tormenta había tirado un gran pino en medio del camino.",
            ),
        ),
        wordings(
            (
                "{hero} pushed until {he hero} was red in the face, but the trunk did not move.",
                "{hero} empujó hasta quedarse sin aliento, pero el tronco no se movió.",
            ),
            (
                "{hero} tried to crawl underneath and got stuck for a good while.",
                "{hero} intentó pasar por debajo y se quedó atascad{o hero} un buen rato.",
            ),
        ),
        _remedies(
            saw=(
                "Then {hero} used {the tool} to cut off the branches, one after another, until there was a gap.",
                "Entonces {hero} cortó las ramas con {el tool}, una tras otra, hasta abrir un hueco.",
            ),
            axe=(
                "Then {hero} used {the tool} to cut some steps in the wood, and climbed over.",
                "Entonces {hero} talló con {el tool} unos escalones en la madera y pasó por encima.",
            ),
            shovel=(
                "Then {hero} dug under the trunk with {the tool} until the hole was wide enough.",
                "Entonces {hero} cavó debajo del tronco con {el tool} hasta que el hueco fue bastante ancho.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "Snow had covered the last slope, and it was as slippery as soap.",
                "La nieve había cubierto la última cuesta, que resbalaba como el jabón.",
            ),
            ("The last hill was nothing but ice and snow.", "La última cuesta era toda hielo y nieve."),
        ),
        wordings(
            ("{hero} took two steps up and slid three steps down.", "{hero} subía dos pasos y bajaba tres resbalando."),
            (
                "{hero} started to run, lost {his hero} balance, and ended up sitting in the snow.",
                "{hero} echó a correr, perdió el equilibrio y acabó sentad{o hero} en la nieve.",
            ),
        ),
        _remedies(
            walking_stick=(
                "Then {hero} drove {the tool} into the ice at every step, and so reached the top.",
                "Entonces {hero} clavó {el tool} en el hielo a cada paso, y así llegó arriba.",
            ),
            shovel=(
                "Then {hero} took {the tool} and dug steps in the snow, all the way up.",
                "Entonces {hero} tomó {el tool} y cavó escalones en la nieve hasta arriba.",
            ),
            boots=(
                "Then {hero} changed {his hero} shoes for {the tool}, and their soles did not slip at all.",
                "Entonces {hero} se calzó {el tool}, cuyas suelas no resbalaban nada.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "Some boards of the bridge were missing, and the water roared far below.",
                "Al puente le faltaban unas tablas, y el agua rugía allá abajo.",
            ),
            (
                "The old wooden bridge was broken right in the middle.",
                "El viejo puente de madera estaba roto justo por la mitad.",
            ),
        ),
        wordings(
            (
                "{hero} tried to jump over the hole, but did not dare.",
                "{hero} quiso saltar el hueco, pero no se atrevió.",
            ),
            (
                "{hero} took one step, the wood creaked, and {he hero} jumped back.",
                "{hero} dio un paso, la madera crujió y tuvo que retroceder de un salto.",
            ),
        ),
        _remedies(
            plank=(
                "Then {hero} put {the tool} over the hole and crossed without looking down.",
                "Entonces {hero} tapó el hueco con {el tool} y cruzó sin mirar abajo.",
            ),
            nails=(
                "Then {hero} found the loose boards, fixed them with {the tool} and a stone, and crossed.",
                "Entonces {hero} encontró las tablas sueltas, las fijó con {el tool} y una piedra, y cruzó.",
            ),
            rope=(
                "Then {hero} stretched {the tool} from post to post and held on to it all the way across.",
                "Entonces {hero} tendió {el tool} de poste a poste y cruzó agarrad{o hero} a ella.",
            ),
        ),
    ),
    Obstacle(
        wordings(
            (
                "Suddenly the sky turned black and hailstones as big as nuts began to fall.",
                "De pronto el cielo se puso negro y empezó a caer granizo gordo como nueces.",
            ),
            (
                "Then an icy rain began, and there was no roof in sight.",
                "Entonces empezó una lluvia helada, y no había ningún techo a la vista.",
            ),
        ),
        wordings(
            (
                "{hero} hid under a bush, but the leaves were no use at all.",
                "{hero} se escondió bajo un arbusto, pero las hojas no servían de nada.",
            ),
            ("{hero} ran faster, and the rain ran faster too.", "{hero} corrió más deprisa, y la lluvia también."),
        ),
        _remedies(
            umbrella=(
                "Then {hero} opened {the tool} and walked on under the drumming sky.",
                "Entonces {hero} abrió {el tool} y siguió andando bajo aquel estruendo.",
            ),
            blanket=(
                "Then {hero} spread {the tool} over two branches and waited, warm and dry, until it stopped.",
                "Entonces {hero} extendió {el tool} sobre dos ramas y esperó, sin mojarse, hasta que escampó.",
            ),
        ),
    ),
)

# How the tool came to the hero. `giver` is a character who was named before.
PLANTS_IN_SILENCE = wordings(
    (
        "Before {hero*} left, {giver*} handed {him hero} {a tool}.",
        "Antes de que {hero*} se marchara, {giver*} le entregó {un tool}.",
    ),
    (
        "{giver*} put {a tool} in {his hero} bag, just in case.",
        "Por si acaso, {giver*} le metió {un tool} en la bolsa.",
    ),
)
PLANTS = (
    *PLANTS_IN_SILENCE,
    *wordings(
        (
            '"Take {this tool} {n tool} with you," said {giver*}. "You never know."',
            "—Llévate {este tool} {n tool} —dijo {giver*}—. Nunca se sabe.",
        ),
        (
            '"Here, take {a tool}," said {giver*}. "The road is full of surprises."',
            "—Toma, llévate {un tool} —dijo {giver*}—. El camino está lleno de sorpresas.",
        ),
    ),
)
