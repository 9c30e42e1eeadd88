"""Folders kept as tarballs that are addressed by their SHA-256, in a folder or in a bucket.

    folder ─ packing ─▶ tar: the same bytes for the same tree ─▶ store.put ─▶ <store>/sha256/ab/<hex>
    store.read ─ unpacking: digest proven, regular files and folders only ─▶ folder, whole or absent

member_names.py  which names a member may have     tar_blocks.py  the format, to the byte
packing.py       a tree as a tarball               unpacking.py   a tarball as a tree, from anybody
contract.py      what a store can do               folder_store.py, bucket_store.py  the two that there are
"""
