"""The lexicon of characters: names, what they are, how they are."""

# ruff: noqa: E501 - one sentence of the tables stays on one line

from __future__ import annotations

from typing import Literal, NamedTuple

from loquela.data.stories.entities import Adjective, Gender

Age = Literal["child", "grown", "animal"]


class Kind(NamedTuple):
    """What a character is: the English noun, the Spanish noun for each gender ("" where there is none)."""

    english: str
    masculine: str
    feminine: str


NAMES: dict[Gender, tuple[str, ...]] = {
    "f": tuple(
        "Ana Marta Nora Lucía Elena Clara Inés Julia Sofía Alma Carmen Irene Laura Lola Olivia Paula Sara Teresa Valeria "
        "Vera Emma Eva Celia Noa Daniela Alicia Berta Rita Gala Mara Lidia Amalia Flora Diana Zoe Nadia Carla Luz".split()
    ),
    "m": tuple(
        "Leo Hugo Tomás Bruno Marco Simón Iván Pablo Mateo Óscar Diego Nico Andrés Lucas Martín Samuel Rafael Gabriel "
        "Adrián Félix Emilio Julio Daniel Víctor Raúl Jaime Omar Elías Gael Saúl Darío Héctor Noel Teo Álex Manuel Fabio".split()
    ),
}
ANIMAL_NAMES: dict[Gender, tuple[str, ...]] = {
    "f": tuple(
        "Luna Nube Chispa Perla Mora Canela Brisa Lila Menta Duna Kira Estrella Gota Selva Rubí Miga Pipa Avellana".split()
    ),
    "m": tuple(
        "Rufo Nilo Copo Trueno Pinto Coco Roble Bigotes Tito Rayo Limón Milo Kiko Zafiro Pascual Tango Bosco Moro".split()
    ),
}

CHILDREN = (Kind("girl", "", "niña"), Kind("boy", "niño", ""))
GROWN = tuple(
    Kind(*row)
    for row in (
        ("baker", "panadero", "panadera"),
        ("gardener", "jardinero", "jardinera"),
        ("miller", "molinero", "molinera"),
        ("farmer", "granjero", "granjera"),
        ("doctor", "doctor", "doctora"),
        ("teacher", "maestro", "maestra"),
        ("carpenter", "carpintero", "carpintera"),
        ("blacksmith", "herrero", "herrera"),
        ("shepherd", "pastor", "pastora"),
        ("mail carrier", "cartero", ""),
        ("librarian", "bibliotecario", "bibliotecaria"),
        ("weaver", "tejedor", "tejedora"),
        ("potter", "alfarero", "alfarera"),
        ("beekeeper", "apicultor", "apicultora"),
        ("musician", "músico", ""),
        ("sailor", "marinero", "marinera"),
        ("painter", "pintor", "pintora"),
        ("cook", "cocinero", "cocinera"),
        ("watchmaker", "relojero", "relojera"),
        ("shoemaker", "zapatero", "zapatera"),
        ("fruit seller", "frutero", ""),
        ("woodcutter", "leñador", "leñadora"),
        ("forest ranger", "guardabosques", "guardabosques"),
        ("bookseller", "librero", "librera"),
        ("hunter", "cazador", "cazadora"),
        ("nurse", "enfermero", "enfermera"),
        ("clown", "payaso", "payasa"),
        ("astronomer", "astrónomo", "astrónoma"),
        ("lighthouse keeper", "farero", "farera"),
        ("grape picker", "vendimiador", "vendimiadora"),
        ("magician", "mago", "maga"),
    )
)
ANIMALS = tuple(
    Kind(*row)
    for row in (
        ("fox", "zorro", "zorrita"),
        ("cat", "gato", "gata"),
        ("rabbit", "conejo", "conejita"),
        ("bear", "oso", "osa"),
        ("mouse", "ratón", "ratoncita"),
        ("squirrel", "", "ardilla"),
        ("hare", "", "liebre"),
        ("duck", "pato", "pata"),
        ("wolf", "lobo", "loba"),
        ("hedgehog", "erizo", ""),
        ("monkey", "mono", "mona"),
        ("turtle", "", "tortuga"),
        ("frog", "", "rana"),
        ("owl", "búho", ""),
        ("crow", "cuervo", ""),
        ("otter", "", "nutria"),
        ("badger", "tejón", ""),
        ("beaver", "castor", ""),
        ("goat", "", "cabra"),
        ("donkey", "burro", ""),
        ("raccoon", "mapache", ""),
        ("penguin", "pingüino", ""),
        ("elephant", "elefante", ""),
        ("lizard", "lagarto", ""),
        ("mole", "topo", ""),
        ("panda", "panda", ""),
        ("lion", "león", "leona"),
        ("camel", "camello", ""),
        ("giraffe", "", "jirafa"),
        ("deer", "ciervo", "cierva"),
        ("koala", "koala", ""),
        ("zebra", "", "cebra"),
        ("kangaroo", "canguro", ""),
        ("tiger", "tigre", "tigresa"),
    )
)

# Who neither flies nor swims nor climbs, so that rivers, walls and lessons mean something.
WALKERS = tuple(
    kind
    for kind in ANIMALS
    if kind.english
    not in {"duck", "owl", "crow", "otter", "beaver", "frog", "turtle", "penguin", "mole", "squirrel", "monkey"}
)

TITLES: dict[Gender, tuple[tuple[str, str], ...]] = {
    "f": (("Grandma", "abuela"), ("Aunt", "tía")),
    "m": (("Grandpa", "abuelo"), ("Uncle", "tío")),
}

TRAITS: dict[str, Adjective] = {
    english: Adjective(english, spanish)
    for english, spanish in (
        ("shy", "tímido"),
        ("brave", "valiente"),
        ("curious", "curioso"),
        ("kind", "amable"),
        ("patient", "paciente"),
        ("clever", "listo"),
        ("cheerful", "alegre"),
        ("quiet", "callado"),
        ("stubborn", "terco"),
        ("proud", "orgulloso"),
        ("lazy", "perezoso"),
        ("careful", "prudente"),
        ("restless", "inquieto"),
        ("forgetful", "olvidadizo"),
        ("generous", "generoso"),
        ("honest", "honrado"),
        ("hardworking", "trabajador"),
        ("dreamy", "soñador"),
        ("funny", "gracioso"),
        ("impatient", "impaciente"),
        ("polite", "educado"),
        ("cautious", "cauteloso"),
        ("gentle", "tierno"),
        ("serious", "serio"),
        ("clumsy", "torpe"),
        ("bold", "atrevido"),
    )
}
HELPER_TRAITS = tuple(
    Adjective(*row)
    for row in (
        ("old", "viejo"),
        ("wise", "sabio"),
        ("kind", "amable"),
        ("young", "joven"),
        ("tall", "alto"),
        ("cheerful", "alegre"),
        ("friendly", "simpático"),
        ("generous", "generoso"),
        ("serious", "serio"),
        ("thin", "delgado"),
        ("clever", "astuto"),
        ("calm", "tranquilo"),
        ("chatty", "hablador"),
        ("strong", "fuerte"),
        ("skillful", "hábil"),
        ("elegant", "elegante"),
        ("modest", "modesto"),
    )
)

SAD = tuple(
    Adjective(*row)
    for row in (
        ("sad", "triste"),
        ("worried", "preocupado"),
        ("disappointed", "desilusionado"),
        ("nervous", "nervioso"),
        ("discouraged", "desanimado"),
        ("unhappy", "infeliz"),
        ("uneasy", "intranquilo"),
        ("confused", "confundido"),
        ("lost", "perdido"),
    )
)
GLAD = tuple(
    Adjective(*row)
    for row in (
        ("happy", "feliz"),
        ("relieved", "aliviado"),
        ("grateful", "agradecido"),
        ("excited", "emocionado"),
        ("content", "contento"),
        ("joyful", "alegre"),
        ("satisfied", "satisfecho"),
        ("proud", "orgulloso"),
    )
)
