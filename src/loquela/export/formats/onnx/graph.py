"""A graph that grows node by node: the thin typed adapter around the `onnx` package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# The first versions with RMSNormalization, RotaryEmbedding and an Attention that carries its cache.
OPSET = 23
IR_VERSION = 11
# Operators of ONNX Runtime that no standard operator replaces: products and look-ups in packed blocks.
CONTRIBUTED = "com.microsoft"
# One protobuf message holds 2 GiB at most; from here on weights lie in a file beside the graph.
LARGEST_IN_ONE_FILE = 2**30
EXTERNAL_NAME = "model.onnx.data"

Array = NDArray[np.float32] | NDArray[np.uint8] | NDArray[np.int64] | NDArray[np.int8]
Attribute = int | float | str | list[int]
Shape = Sequence[int | str]
FLOAT = int(TensorProto.FLOAT)
ELEMENT = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64}


class Graph:
    """Nodes, constants, inputs and outputs of one model."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._bytes = 0

    def input(self, name: str, element: str, shape: Shape) -> str:
        """A value that the caller gives; a text in `shape` names a length that may differ from call to call."""
        self._inputs.append(helper.make_tensor_value_info(name, ELEMENT[element], list(shape)))
        return name

    def output(self, name: str, element: str, shape: Shape) -> None:
        """A value that the caller gets; some node must have been given that name."""
        self._outputs.append(helper.make_tensor_value_info(name, ELEMENT[element], list(shape)))

    def constant(self, name: str, array: Array) -> str:
        """A tensor of the file; the same name again is the same tensor."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
            self._bytes += array.nbytes
        return name

    def has(self, name: str) -> bool:
        """Whether there is a constant of that name."""
        return name in self._constants

    def integers(self, *values: int) -> str:
        """A constant vector of int64."""
        return self.constant("integers_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def add(self, operator: str, *inputs: str, name: str = "", domain: str = "", **attributes: Attribute) -> str:
        """One node with one result, whose name is given back."""
        return self.add_many(operator, inputs, 1, names=[name], domain=domain, attributes=attributes)[0]

    def add_many(
        self,
        operator: str,
        inputs: Sequence[str],
        count: int,
        *,
        names: Sequence[str] = (),
        domain: str = "",
        attributes: Mapping[str, Attribute] | None = None,
    ) -> list[str]:
        """One node with `count` results; `names` are theirs, "" for one that nobody else refers to."""
        given = [*names, *[""] * (count - len(names))]
        results = [name or f"{operator}_{len(self._nodes)}_{index}" for index, name in enumerate(given)]
        node = helper.make_node(operator, list(inputs), results, domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in (attributes or {}).items())
        self._nodes.append(node)
        return results

    def save(self, path: Path, about: Mapping[str, str]) -> None:
        """Check the graph and write it; weights that are too large for one message go into a file beside it."""
        graph = helper.make_graph(
            self._nodes, "language_model", self._inputs, self._outputs, list(self._constants.values())
        )
        model = helper.make_model(
            graph,
            producer_name="loquela",
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)],
            ir_version=IR_VERSION,
        )
        helper.set_model_props(model, dict(about))
        outside = self._bytes > LARGEST_IN_ONE_FILE
        onnx.save_model(model, path, save_as_external_data=outside, location=EXTERNAL_NAME)
        onnx.checker.check_model(str(path))
