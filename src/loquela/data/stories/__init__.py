"""Built-in bilingual stories: the corpus of a machine without a network.

    (seed, index) ──> draw ──> plots/… ──> Plot ──┬──> english.py ──> "The Lost Kite …"
                      dice     outline     events │      articles, pronouns
                               + wording   roles  └──> spanish.py ──> «La cometa perdida …»
                                                         agreement, del/al, dropped subjects

`cast`, `things` and `obstacles` are the lexicon, `shared` the wording all plots use, `plotting` the outlines,
`patterns` the slots, `discourse` who may be called "she". `story.story(seed, index)` is the way in. A plot is
drawn once, before any language, so both texts tell the same events about the same characters. To add a kind of
story, put a file in plots/ and its function in `story.SCHEMAS`.
"""
