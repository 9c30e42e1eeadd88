"""The lexicon of things and places, with gender, number and the adjectives a thing may wear."""

from __future__ import annotations

from loquela.data.stories.entities import Action, Adjective, Entity, Gender

LOOKS = (
    Adjective("striped", "a rayas", invariant=True),
    Adjective("spotted", "de lunares", invariant=True),
    *(
        Adjective(*row)
        for row in (
            ("red", "rojo"),
            ("blue", "azul"),
            ("green", "verde"),
            ("yellow", "amarillo"),
            ("white", "blanco"),
            ("black", "negro"),
            ("gray", "gris"),
            ("purple", "morado"),
            ("golden", "dorado"),
            ("small", "pequeño"),
            ("old", "antiguo"),
            ("pretty", "bonito"),
            ("orange", "anaranjado"),
            ("big", "grande"),
            ("light blue", "celeste"),
            ("pink", "rosado"),
            ("brown", "marrón"),
            ("silver", "plateado"),
            ("shiny", "reluciente"),
            ("tiny", "diminuto"),
            ("elegant", "elegante"),
        )
    ),
)


def _thing(
    english: str, spanish: str, gender: Gender, counter: tuple[str, str] = ("", ""), *, plural: bool = False
) -> Entity:
    stressed = spanish in {"arpa", "hacha", "águila", "ancla"}
    return Entity(english, spanish, gender, plural=plural, counter=counter, stressed_a=stressed)


# Small treasures: what is owned, lost, given, traded, lent or won.
TREASURES = (
    _thing("kite", "cometa", "f"),
    _thing("ring", "anillo", "m"),
    _thing("drum", "tambor", "m"),
    _thing("flute", "flauta", "f"),
    _thing("whistle", "silbato", "m"),
    _thing("hat", "sombrero", "m"),
    _thing("scarf", "bufanda", "f"),
    _thing("lantern", "farol", "m"),
    _thing("doll", "muñeca", "f"),
    _thing("ball", "pelota", "f"),
    _thing("compass", "brújula", "f"),
    _thing("book", "libro", "m"),
    _thing("bell", "campana", "f"),
    _thing("umbrella", "paraguas", "m"),
    _thing("necklace", "collar", "m"),
    _thing("bracelet", "pulsera", "f"),
    _thing("watch", "reloj", "m"),
    _thing("music box", "caja de música", "f"),
    _thing("notebook", "cuaderno", "m"),
    _thing("blanket", "manta", "f"),
    _thing("basket", "cesta", "f"),
    _thing("seashell", "caracola", "f"),
    _thing("feather", "pluma", "f"),
    _thing("puppet", "títere", "m"),
    _thing("top", "trompo", "m"),
    _thing("mask", "máscara", "f"),
    _thing("harp", "arpa", "f"),
    _thing("backpack", "mochila", "f"),
    _thing("teapot", "tetera", "f"),
    _thing("mirror", "espejo", "m"),
    _thing("cap", "gorra", "f"),
    _thing("jug", "jarra", "f"),
    _thing("map", "mapa", "m"),
    _thing("toy boat", "barco de juguete", "m"),
    _thing("guitar", "guitarra", "f"),
    _thing("violin", "violín", "m"),
    _thing("telescope", "telescopio", "m"),
    _thing("magnifying glass", "lupa", "f"),
    _thing("pillow", "almohada", "f"),
    _thing("coat", "abrigo", "m"),
    _thing("vase", "jarrón", "m"),
    _thing("pot", "olla", "f"),
    _thing("alarm clock", "despertador", "m"),
    _thing("painting", "cuadro", "m"),
    _thing("lamp", "lámpara", "f"),
    _thing("sweater", "jersey", "m"),
    _thing("rug", "alfombra", "f"),
    _thing("fan", "abanico", "m"),
    _thing("trumpet", "trompeta", "f"),
    _thing("fishing rod", "caña de pescar", "f"),
    _thing("belt", "cinturón", "m"),
    _thing("suitcase", "maleta", "f"),
    _thing("statue", "estatua", "f"),
    _thing("anchor", "ancla", "f"),
    _thing("egg cup", "huevera", "f"),
    _thing("ribbons", "cintas", "f", plural=True),
    _thing("slippers", "zapatillas", "f", ("a pair of", ""), plural=True),
    _thing("socks", "calcetines", "m", ("a pair of", ""), plural=True),
    _thing("coins", "monedas", "f", plural=True),
    _thing("keys", "llaves", "f", ("a bunch of", ""), plural=True),
    _thing("glasses", "gafas", "f", ("a pair of", ""), plural=True),
    _thing("boots", "botas", "f", ("a pair of", ""), plural=True),
    _thing("gloves", "guantes", "m", ("a pair of", ""), plural=True),
    _thing("shoes", "zapatos", "m", ("a pair of", ""), plural=True),
    _thing("marbles", "canicas", "f", plural=True),
    _thing("skates", "patines", "m", ("a pair of", ""), plural=True),
    _thing("paintbrushes", "pinceles", "m", plural=True),
    _thing("earrings", "pendientes", "m", ("a pair of", ""), plural=True),
)
BREAKABLE = tuple(
    thing
    for thing in TREASURES
    if thing.english
    in {
        "kite",
        "drum",
        "flute",
        "lantern",
        "doll",
        "umbrella",
        "necklace",
        "music box",
        "basket",
        "puppet",
        "mask",
        "harp",
    }
    | {"teapot", "mirror", "jug", "toy boat", "glasses", "watch", "bracelet", "backpack"}
)

# Plain tools, by the English noun the obstacles ask for.
TOOLS: dict[str, Entity] = {
    thing.english: thing
    for thing in (
        _thing("rope", "cuerda", "f"),
        _thing("plank", "tabla", "f"),
        _thing("lantern", "farol", "m"),
        _thing("candle", "vela", "f"),
        _thing("ladder", "escalera", "f"),
        _thing("key", "llave", "f"),
        _thing("whistle", "silbato", "m"),
        _thing("bell", "campana", "f"),
        _thing("compass", "brújula", "f"),
        _thing("map", "mapa", "m"),
        _thing("gloves", "guantes", "m", ("a pair of", ""), plural=True),
        _thing("scissors", "tijeras", "f", ("a pair of", ""), plural=True),
        _thing("boots", "botas", "f", ("a pair of", ""), plural=True),
        _thing("apple", "manzana", "f"),
        _thing("flute", "flauta", "f"),
        _thing("sled", "trineo", "m"),
        _thing("walking stick", "bastón", "m"),
        _thing("blanket", "manta", "f"),
        _thing("umbrella", "paraguas", "m"),
        _thing("saw", "sierra", "f"),
        _thing("axe", "hacha", "f"),
        _thing("hammer", "martillo", "m"),
        _thing("nails", "clavos", "m", plural=True),
        _thing("oars", "remos", "m", ("a pair of", ""), plural=True),
        _thing("shovel", "pala", "f"),
        _thing("wire", "alambre", "m", ("a piece of", "un trozo de")),
        _thing("cookie", "galleta", "f"),
    )
}


def _place(english: str, spanish: str, gender: Gender, at_english: str, at_spanish: str = "en") -> Entity:
    return Entity(english, spanish, gender, plural=english in {"ruins", "dunes"}, at=(at_english, at_spanish))


PLACES = (
    _place("forest", "bosque", "m", "in"),
    _place("market", "mercado", "m", "at"),
    _place("river", "río", "m", "by", "junto a"),
    _place("lake", "lago", "m", "by", "cerca de"),
    _place("old mill", "viejo molino", "m", "at"),
    _place("beach", "playa", "f", "on"),
    _place("harbor", "puerto", "m", "at"),
    _place("lighthouse", "faro", "m", "at"),
    _place("hill", "colina", "f", "on"),
    _place("meadow", "prado", "m", "in"),
    _place("orchard", "huerto", "m", "in"),
    _place("square", "plaza", "f", "in"),
    _place("stone bridge", "puente de piedra", "m", "near", "cerca de"),
    _place("well", "pozo", "m", "by", "junto a"),
    _place("windmill", "molino de viento", "m", "near", "cerca de"),
    _place("fountain", "fuente", "f", "by", "junto a"),
    _place("station", "estación", "f", "at"),
    _place("library", "biblioteca", "f", "in"),
    _place("park", "parque", "m", "in"),
    _place("waterfall", "cascada", "f", "near", "cerca de"),
    _place("valley", "valle", "m", "in"),
    _place("vineyard", "viñedo", "m", "in"),
    _place("tower", "torre", "f", "near", "cerca de"),
    _place("school", "escuela", "f", "at"),
    _place("castle", "castillo", "m", "at"),
    _place("garden", "jardín", "m", "in"),
    _place("pine grove", "pinar", "m", "in"),
    _place("bay", "bahía", "f", "on", "en"),
    _place("ruins", "ruinas", "f", "near", "cerca de"),
    _place("inn", "posada", "f", "at"),
    _place("bakery", "panadería", "f", "at"),
    _place("barn", "granero", "m", "in"),
    _place("dunes", "dunas", "f", "in"),
    _place("cave", "cueva", "f", "near", "cerca de"),
)
# Far places one walks to, past an obstacle.
FAR = tuple(
    place
    for place in PLACES
    if place.english
    in {
        "forest",
        "old mill",
        "lighthouse",
        "hill",
        "orchard",
        "windmill",
        "waterfall",
        "valley",
        "vineyard",
        "tower",
        "harbor",
        "castle",
        "pine grove",
        "bay",
        "inn",
    }
)


def _action(base: str, past: str, ing: str, spanish: str, tail: tuple[str, str] = ("", "")) -> Action:
    return Action((base, past, ing), spanish, tail[0] and f" {tail[0]}", tail[1] and f" {tail[1]}")


HOBBIES = (
    _action("paint", "painted", "painting", "pintar"),
    _action("sing", "sang", "singing", "cantar"),
    _action("dance", "danced", "dancing", "bailar"),
    _action("read", "read", "reading", "leer", ("by the window", "junto a la ventana")),
    _action("draw", "drew", "drawing", "dibujar"),
    _action("bake", "baked", "baking", "hornear", ("cookies", "galletas")),
    _action("write", "wrote", "writing", "escribir", ("poems", "poemas")),
    _action("count", "counted", "counting", "contar", ("the stars", "las estrellas")),
    _action("whistle", "whistled", "whistling", "silbar", ("old tunes", "viejas melodías")),
    _action("tell", "told", "telling", "contar", ("stories", "cuentos")),
    _action("watch", "watched", "watching", "mirar", ("the clouds", "las nubes")),
    _action("collect", "collected", "collecting", "coleccionar", ("smooth stones", "piedras lisas")),
    _action("look after", "looked after", "looking after", "cuidar", ("the flowers", "las flores")),
    _action("fish", "fished", "fishing", "pescar"),
    _action("invent", "invented", "inventing", "inventar", ("riddles", "adivinanzas")),
    _action("listen", "listened", "listening", "escuchar", ("to the wind", "el viento")),
    _action("cook", "cooked", "cooking", "cocinar", ("soup", "sopa")),
    _action("play", "played", "playing", "jugar", ("chess", "al ajedrez")),
    _action("repair", "repaired", "repairing", "reparar", ("old toys", "juguetes viejos")),
    _action("feed", "fed", "feeding", "alimentar", ("the pigeons", "a las palomas")),
    _action("walk", "walked", "walking", "pasear", ("along the shore", "por la orilla")),
    _action("make", "made", "making", "preparar", ("jam", "mermelada")),
    _action("sew", "sewed", "sewing", "remendar", ("old clothes", "ropa vieja")),
    _action("learn", "learned", "learning", "aprender", ("new words", "palabras nuevas")),
    _action("plant", "planted", "planting", "plantar", ("sunflowers", "girasoles")),
    _action("look", "looked", "looking", "contemplar", ("at the sea", "el mar")),
    _action("carve", "carved", "carving", "tallar", ("little wooden birds", "pajaritos de madera")),
)
# What one can set out to learn.
SKILLS = (
    _action("swim", "swam", "swimming", "nadar"),
    _action("skate", "skated", "skating", "patinar"),
    _action("dance", "danced", "dancing", "bailar"),
    _action("juggle", "juggled", "juggling", "hacer", ("", "malabares")),
    _action("play", "played", "playing", "tocar", ("the flute", "la flauta")),
    _action("play", "played", "playing", "tocar", ("the violin", "el violín")),
    _action("play", "played", "playing", "tocar", ("the drum", "el tambor")),
    _action("play", "played", "playing", "tocar", ("the harp", "el arpa")),
    _action("bake", "baked", "baking", "hornear", ("bread", "pan")),
    _action("ride", "rode", "riding", "montar", ("a bicycle", "en bicicleta")),
    _action("row", "rowed", "rowing", "remar", ("a boat", "en barca")),
    _action("knit", "knitted", "knitting", "tejer", ("scarves", "bufandas")),
    _action("climb", "climbed", "climbing", "trepar", ("tall trees", "a los árboles altos")),
    _action("paint", "painted", "painting", "pintar", ("portraits", "retratos")),
    _action("sing", "sang", "singing", "cantar", ("in front of others", "delante de los demás")),
    _action("walk", "walked", "walking", "caminar", ("on stilts", "con zancos")),
    _action("make", "made", "making", "hacer", ("clay pots", "vasijas de barro")),
)
