"""The OptimizerStep component: gradients and state in, state out; for use outside the training loop.

The loop holds an `OptimizerSet` and calls its `step`; this does the same for whoever brings gradients, state,
learning rate and weight decay along.
"""

from __future__ import annotations

from loquela.core.errors import DataError, ErrorCode
from loquela.monitoring.events import Bus, SilentBus
from loquela.training.contracts import OptimizerStepRequest, OptimizerStepResult
from loquela.training.optimizers import OptimizerSet


class OptimizerStep:
    """Updates the parameters that `optimizer` owns."""

    def __init__(self, optimizer: OptimizerSet, bus: Bus | None = None) -> None:
        self.optimizer = optimizer
        self.bus: Bus = bus or SilentBus()

    def update(self, request: OptimizerStepRequest) -> OptimizerStepResult:
        """One update; an empty `optimizer_state` begins anew, `learning_rate` is the AdamW part's under muon.

        Raises DataError(INVALID_STATE) for gradients or a state that do not fit the parameters, and then changes
        nothing; ResourceError(OOM) and InternalError(UPDATE_FAILED) as `OptimizerSet.step` does.
        """
        parameters = self.optimizer.parameters
        if len(request.gradients) != len(parameters):
            raise invalid_state(f"{len(request.gradients)} gradients came for {len(parameters)} parameters")
        for (name, parameter), gradient in zip(parameters.items(), request.gradients, strict=True):
            if gradient.shape != parameter.shape:
                raise invalid_state(
                    f"the gradient of {name} has shape {tuple(gradient.shape)}, not {tuple(parameter.shape)}"
                )
        try:
            self.optimizer.load_state_tensors(request.optimizer_state)
        except DataError as error:
            raise invalid_state(error.message) from error
        for parameter, gradient in zip(parameters.values(), request.gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.set_weight_decay(request.weight_decay)
        factor = request.learning_rate / self.optimizer.peak
        self.optimizer.step(factor, self.bus)
        return OptimizerStepResult(
            parameters_updated=True,
            optimizer_state=self.optimizer.state_tensors(),
            learning_rate_used=request.learning_rate,
        )


def invalid_state(what: str) -> DataError:
    """INVALID_STATE."""
    return DataError(
        ErrorCode.INVALID_STATE,
        f"the parameters were not updated: {what}",
        "give one gradient per trainable parameter, and the state that the last update returned",
    )
