"""The ModelInitializer: random or pretrained weights, trace points, and errors that name what differs."""

import pytest
import torch
from pydantic import ValidationError

from loquela.core.errors import DataError, ErrorCode, RecipeError, ResourceError
from loquela.models import initialize as initializer
from loquela.models.build import build_model
from loquela.models.config import model_config
from loquela.models.contracts import Architecture, Initialization, ModelInitializerRequest
from loquela.models.folder import save_model
from loquela.models.initialize import error_of, initialize, initialize_model
from loquela.monitoring.events import EventBus, SilentBus
from loquela.recipe.schema import ModelSection


def section(**changes):
    return ModelSection(
        **{"num_layers": 1, "d_model": 16, "num_heads": 2, "dim_feedforward": 24, "max_sequence_length": 12} | changes
    )


def recorded():
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    return bus, events


def test_random_weights_with_the_seeds_trace_points():
    bus, events = recorded()
    config = model_config(section(), 30)
    made = initialize_model(config, 5, bus)
    assert [event.name for event in events] == [
        "model_initializer.architecture_defined.v1",
        "model_initializer.weights_initialized.v1",
        "model_initializer.model_ready.v1",
    ]
    assert (
        events[0].data["parameters"] == made.result.parameter_count == sum(p.numel() for p in made.model.parameters())
    )
    assert made.result.initialization_successful
    assert made.result.memory_footprint_gb == 4 * made.result.parameter_count / 2**30
    assert torch.equal(made.model.head_weight, build_model(config, 5).head_weight)


def test_pretrained_weights_with_another_dropout(tmp_path):
    original = build_model(model_config(section(), 30), 5)
    save_model(original, tmp_path)
    made = initialize_model(model_config(section(dropout=0.2), 30), 9, SilentBus(), tmp_path)
    assert made.model.config.dropout == 0.2
    assert made.model.training
    assert made.result.checkpoint_path == str(tmp_path)
    for ours, theirs in zip(made.model.parameters(), original.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_rotary_network_may_be_trained_at_another_length(tmp_path):
    llama = {"positions": "rotary", "norm": "rmsnorm", "activation": "swiglu", "bias": False}
    save_model(build_model(model_config(section(**llama), 30), 5), tmp_path)
    longer = initialize_model(model_config(section(**llama, max_sequence_length=20), 30), 9, SilentBus(), tmp_path)
    assert longer.model.config.max_sequence_length == 20
    assert longer.model(torch.zeros(1, 20, dtype=torch.int64)).shape == (1, 20, 30)


def test_every_difference_is_named(tmp_path):
    save_model(build_model(model_config(section(), 30), 5), tmp_path)
    other = model_config(section(num_layers=2, tie_embeddings=False, max_sequence_length=16), 31)
    with pytest.raises(
        DataError,
        match=r"max_sequence_length is 12 there and 16 here; num_layers is 1 there and 2 here; "
        r"tie_embeddings is True there and False here; vocab_size is 30 there and 31 here",
    ) as caught:
        initialize_model(other, 5, SilentBus(), tmp_path)
    assert error_of(caught.value).error_code == "PRETRAINED_LOAD_FAILED"
    with pytest.raises(DataError, match="holds another network: .*family is transformer there and gru here"):
        initialize_model(model_config(section(family="gru"), 30), 5, SilentBus(), tmp_path)


def test_a_request_makes_a_network(tmp_path):
    shape = Architecture(model_type="transformer", num_layers=1, hidden_size=16, num_attention_heads=2, vocab_size=30)
    made = initialize(ModelInitializerRequest(architecture=shape, initialization=Initialization(seed=5)), SilentBus())
    assert made.model.config.dim_feedforward == 64
    save_model(made.model, tmp_path)
    start = Initialization(method="pretrained", pretrained_path=str(tmp_path))
    again = initialize(ModelInitializerRequest(architecture=shape, initialization=start), SilentBus())
    assert torch.equal(again.model.head_weight, made.model.head_weight)
    other = shape.model_copy(update={"vocab_size": 31, "num_attention_heads": 4})
    with pytest.raises(DataError, match="vocab_size is 30 there and 31 here; num_attention_heads is 2 there and 4"):
        initialize(ModelInitializerRequest(architecture=other, initialization=start), SilentBus())


def test_an_impossible_architecture_is_refused():
    shape = Architecture(model_type="transformer", num_layers=1, hidden_size=16, num_attention_heads=3, vocab_size=30)
    with pytest.raises(
        RecipeError, match=r"the architecture describes no network: .*num_heads \(3\) does not divide d_model \(16\)"
    ) as caught:
        initialize(ModelInitializerRequest(architecture=shape), SilentBus())
    assert caught.value.code == ErrorCode.ARCHITECTURE_INVALID
    assert error_of(caught.value).error_code == "ARCHITECTURE_INVALID"
    with pytest.raises(ValidationError, match="pretrained needs pretrained_path"):
        Initialization(method="pretrained")


def test_no_memory_is_said_in_gibibytes(monkeypatch):
    def exhausted(config, seed):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")

    monkeypatch.setattr(initializer, "build_model", exhausted)
    with pytest.raises(ResourceError, match=r"parameters need 0.00 GiB, and memory ran out") as caught:
        initialize_model(model_config(section(), 30), 5, SilentBus())
    assert error_of(caught.value).error_code == "OOM"
