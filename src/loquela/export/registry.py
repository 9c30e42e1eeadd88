"""The formats by name; further ones come as entry points of other packages."""

from __future__ import annotations

from loquela.core.registry import Registry
from loquela.export.contract import Exporter

EXPORTERS: Registry[Exporter] = Registry("export format", "loquela.exporters")
EXPORTERS.register("onnx", "loquela.export.formats.onnx.exporter:OnnxExporter")
EXPORTERS.register("gguf", "loquela.export.formats.gguf.exporter:GgufExporter")
EXPORTERS.register("safetensors", "loquela.export.formats.safetensors.exporter:SafetensorsExporter")
EXPORTERS.register("torchscript", "loquela.export.formats.torchscript.exporter:TorchScriptExporter")
