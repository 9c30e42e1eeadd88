"""Runs whose folder is also a tarball in a store of artifacts.

    run folder ─ packed, stored, read back ─▶ pointer.json ─ grace period ─▶ heavy folders removed
                        ▲                                                         │
                        └────────── brought back when somebody asks for them ◀────┘

trees.py       what of a run is packed        pointer.py   where its tarball lies, and who may touch its folder
packing.py     folder → store                 cleaning.py  heavy folders go
local_copy.py  `local_model_folder`: they are there again
"""
