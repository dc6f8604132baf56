"""Requests with which TensorFlow Serving warms a model up, so that its first users do not wait for graphs to be made.

TensorFlow Serving reads `assets.extra/tf_serving_warmup_requests`: a TFRecord file of at most 1000 `PredictionLog`
messages (https://www.tensorflow.org/tfx/serving/saved_model_warmup). Four message types of its protocol are enough, and
all their fields are nested messages or text; so they are written here, without the package tensorflow-serving-api:

    PredictionLog  { PredictLog predict_log = 6; }                            prediction_log.proto
    PredictLog     { PredictRequest request = 1; }                            prediction_log.proto
    PredictRequest { ModelSpec model_spec = 1; map<string, TensorProto> inputs = 2; }   predict.proto
    ModelSpec      { string name = 1; string signature_name = 3; }            model.proto

A map is a repeated message of the fields key = 1 and value = 2.
"""

import pathlib
from collections.abc import Mapping

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

FILE = pathlib.PurePosixPath("assets.extra", "tf_serving_warmup_requests")
BATCH_SIZES = (1, 32)
MODEL_NAME = "policy"  # what a server calls the model is decided when it is started; requests of a file go to its own


def write(folder: pathlib.Path, signatures: Mapping[str, tf.types.experimental.ConcreteFunction]) -> None:
    """Writes requests of zeros for every signature and each of `BATCH_SIZES` into a SavedModel's folder.

    Args:
        folder: the SavedModel's.
        signatures: by name; inputs `[None, ...]` are batched, others (`seed`, `batch_size`) get a number.
    """
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in signatures.items():
            specs = function.structured_input_signature[0]
            for size in BATCH_SIZES:
                writer.write(prediction_log(name, {spec.name: _input(spec, size) for spec in specs}))


def prediction_log(signature: str, inputs: Mapping[str, tensor_pb2.TensorProto]) -> bytes:
    """A serialized `PredictionLog` of one request to a signature, with its inputs by name."""
    request = _field(1, _field(1, MODEL_NAME.encode()) + _field(3, signature.encode()))
    for name, tensor in inputs.items():
        request += _field(2, _field(1, name.encode()) + _field(2, tensor.SerializeToString()))
    return _field(6, _field(1, request))


def _input(spec: tf.TensorSpec, batch_size: int):
    value = batch_size if spec.name == "batch_size" else 0
    shape = [batch_size if n is None else n for n in spec.shape] if spec.shape.rank else []
    return tf.make_tensor_proto(value, spec.dtype, shape)  # a single number: a TensorProto repeats its last


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field (wire type 2): nested messages, text and bytes are all written so."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the eighth bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
