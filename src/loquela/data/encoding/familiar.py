"""Characters beyond ASCII that texts in Western languages are made of."""

LETTERS = frozenset("áàâäãåæçéèêëíìîïñóòôöõøœúùûüýßšžÿÁÀÂÄÃÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÖÕØŒÚÙÛÜÝŠŽ")
SIGNS = frozenset("‘’“”‚„–—…«»‹›¡¿ºª€£©®™°·•§´\u00a0\u00ad½¼¾²³±×")
