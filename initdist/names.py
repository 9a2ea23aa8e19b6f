"""Every MLflow metric, param and tag name of the project, once.

The training side writes these names and the analysis side reads them; scripts of users rely on them. Change one only
with a CHANGELOG entry. This module imports nothing.
"""

# Metrics that every network's run has (the final value is the last point of the history).
DISTANCE = "distance_from_init"  # l2 norm of trained minus initial parameters, biases included
TRAIN_LOSS = "train_loss"  # mean loss over the training set, weight decay not included
TEST_LOSS = "test_loss"  # mean loss over the test set
TRAIN_ERROR = "train_error"  # fraction in [0, 1], against the labels trained on
TEST_ERROR = "test_error"  # fraction in [0, 1], against clean labels
GAP = "generalization_gap"  # test_error - train_error, the paper's quantity
GAP_NOISY = "generalization_gap_noisy"  # the same with test labels under the training label noise
EPOCHS = "epochs"  # when training ended
STEPS = "steps"  # gradient steps when training ended

# Those that a job can tell a sweeper which searches.
OBJECTIVES = (TEST_ERROR, TEST_LOSS, GAP, TRAIN_ERROR, TRAIN_LOSS, DISTANCE, EPOCHS, STEPS)

DISTANCE_AT_LOSS = (
    "distance_at_loss/"  # distance_at_loss/0.1: the distance when the training loss was first 0.1 or below
)
STEPS_AT_LOSS = "steps_at_loss/"  # steps_at_loss/0.1: gradient steps until then
MEASURE = "measure/"  # a measure under its name, or name/layer: measure/spectral_norm/layer1

CROSSINGS = (0.3, 0.1, 0.03, 0.01, 0.003)  # training losses at whose first crossing distance and steps are kept

# Params: every result-affecting leaf of the config under its dotted key, and SEED.
SEED = "seed"
LABEL_NOISE = "labels"

# Tags.
IDENTITY = "initdist.identity"  # hash of all that affects the result
STOP_REASON = "initdist.stop_reason"  # threshold | margin | error | max_epochs | diverged, or a criterion of one's own
CONVERGED = "initdist.converged"  # true | false | fixed: what `stopping` says of the stop reason; absent in old runs
SWEEP = "initdist.sweep"  # id of the sweep that trained it: a hash of its identities
VERSION = "initdist.version"  # of initdist
CODE = "initdist.code"  # hash of the package's sources that trained it; several, joined by +, where a training went on
THETA0 = "initdist.theta0"  # hash of the initial parameters
PROCESS = "initdist.process"  # host:pid:kernel-start of the process that owns a RUNNING run
KIND = "initdist.kind"  # network, or sweep for the parent run
INPUT_SHAPE = "initdist.input_shape"  # "1x28x28"
CLASSES = "initdist.classes"  # how many classes the data has
TEST_SIZE = "initdist.test_size"  # how many test samples
DEVICE = "initdist.device"  # what trained the network: cpu, or the name of the GPU
CUDA_GRAPHS = "initdist.cuda_graphs"  # of networks trained on CUDA: used | not used: WHY
TRAINING_SECONDS = "initdist.training_seconds"  # the network's share of its stack's time
MEASURES = "initdist.measures"  # JSON: measure -> the options (draws, subset size) that its value was computed with
MEASURE_SECONDS = "initdist.measure_seconds"  # JSON: measure -> the network's share of the time it took
TEST_CORRECT = "initdist.test_correct"  # base64 of numpy.packbits: which samples of the clean test set are right
PARENT_RUN = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
GIT_COMMIT = "mlflow.source.git.commit"
NOTE = "mlflow.note.content"  # the description that MLflow's UI shows, in Markdown

UI_VIEW = "?workflowType=machine_learning"  # MLflow's UI as for model training; else it opens as for language models

# Values of the tag initdist.kind.
KIND_NETWORK = "network"
KIND_SWEEP = "sweep"

# Values of the tag initdist.stop_reason.
STOP_THRESHOLD = "threshold"  # stop.train_loss
STOP_MARGIN = "margin"  # stop.margin, stop.fraction
STOP_ERROR = "error"  # stop.train_error
STOP_MAX_EPOCHS = "max_epochs"  # also where a fixed number of epochs was asked for, without a criterion
STOP_DIVERGED = "diverged"

# Values of the tag initdist.converged.
CONVERGED_YES = "true"  # a criterion that was asked for is met
CONVERGED_NO = "false"  # none of those asked for is: the epoch limit came first, or training diverged
CONVERGED_FIXED = "fixed"  # none was asked for: trained for stop.max_epochs on purpose

# Groups of measures, of which a command can name one or all; a test holds them against the registry.
MEASURE_GROUPS = ("core", "norms", "margins", "bounds", "pacbayes", "curvature", "ntk", "optimization", "capacity")
ALL_MEASURES = "all"

# Artifacts.
WEIGHTS_FILE = "weights.safetensors"  # trained parameters, unless tracking.save_weights=false
CHECKPOINT_FILE = "checkpoint.safetensors"
NETWORKS_FILE = "networks.json"  # of a sweep's run: identity and name of each network


def distance_at_loss(level: float) -> str:
    """Metric name of the distance at the first crossing of a training loss."""
    return f"{DISTANCE_AT_LOSS}{level:g}"


def steps_at_loss(level: float) -> str:
    """Metric name of the gradient steps until the first crossing of a training loss."""
    return f"{STEPS_AT_LOSS}{level:g}"


def measure(name: str, layer: str | None = None) -> str:
    """Metric name of a measure, or of one layer's share of it."""
    return f"{MEASURE}{name}" if layer is None else f"{MEASURE}{name}/{layer}"
