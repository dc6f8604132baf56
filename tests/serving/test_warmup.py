"""Warm-up requests, decoded by Google's protobuf from descriptors that are built here."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from tf_apil.serving import warmup

_FIELD = descriptor_pb2.FieldDescriptorProto


@pytest.fixture(scope="module")
def prediction_log():
    """The message class of tensorflow_serving/apis/prediction_log.proto, as far as requests of Predict go."""
    pool = descriptor_pool.DescriptorPool()
    tensor = tensor_pb2.TensorProto.DESCRIPTOR.file

    def add(file):
        for dependency in file.dependencies:
            add(dependency)
        pool.AddSerializedFile(file.serialized_pb)

    add(tensor)
    file = descriptor_pb2.FileDescriptorProto(
        name="serving.proto", package="tensorflow.serving", syntax="proto3", dependency=[tensor.name]
    )

    def message(parent, name, /, **fields):
        made = parent.add(name=name)
        for field, (number, kind) in fields.items():
            label = _FIELD.LABEL_REPEATED if field == "inputs" else _FIELD.LABEL_OPTIONAL
            one = made.field.add(name=field, number=number, label=label)
            if kind == "string":
                one.type = _FIELD.TYPE_STRING
            else:
                one.type, one.type_name = _FIELD.TYPE_MESSAGE, f".tensorflow.{kind}"
        return made

    message(file.message_type, "ModelSpec", name=(1, "string"), signature_name=(3, "string"))
    request = message(
        file.message_type, "PredictRequest",
        model_spec=(1, "serving.ModelSpec"), inputs=(2, "serving.PredictRequest.InputsEntry"),
    )  # fmt: skip
    entry = message(request.nested_type, "InputsEntry", key=(1, "string"), value=(2, "TensorProto"))
    entry.options.map_entry = True
    message(file.message_type, "PredictLog", request=(1, "serving.PredictRequest"))
    message(file.message_type, "PredictionLog", predict_log=(6, "serving.PredictLog"))
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.PredictionLog"))


def _requests(path, prediction_log) -> list[tuple[str, dict[str, np.ndarray]]]:
    found = []
    for record in tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests")):
        log = prediction_log.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "policy"
        inputs = {
            name: tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor.SerializeToString()))
            for name, tensor in request.inputs.items()
        }
        found.append((request.model_spec.signature_name, inputs))
    return found


def test_every_signature_is_asked_with_both_batch_sizes(served, prediction_log):
    loaded = tf.saved_model.load(str(served.path))
    requests = _requests(served.path, prediction_log)
    assert sorted(name for name, _ in requests) == sorted(2 * list(loaded.signatures))
    sizes = {}
    for name, inputs in requests:
        out = loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        specs = loaded.signatures[name].structured_input_signature[1]
        for key, value in inputs.items():
            assert value.dtype == specs[key].dtype.as_numpy_dtype and specs[key].shape.is_compatible_with(value.shape)
        sizes.setdefault(name, set()).add(len(next(value for key, value in out.items() if key != "log_std")))
    assert set(map(tuple, map(sorted, sizes.values()))) == {(1, 32)}


def test_the_file_is_small(served):
    assert (served.path / "assets.extra" / "tf_serving_warmup_requests").stat().st_size < 2000


def test_nothing_is_unknown_to_the_decoder(served, prediction_log):
    """A wrong field number or wire type would make an unknown field, or a message that does not parse."""
    for record in tf.data.TFRecordDataset(str(served.path / "assets.extra" / "tf_serving_warmup_requests")):
        log = prediction_log.FromString(record.numpy())
        size = log.ByteSize()
        log.DiscardUnknownFields()
        assert log.ByteSize() == size == len(record.numpy())


def test_long_messages(prediction_log):
    """Lengths of one byte, two and three."""
    for number in (10, 1_000, 100_000):
        values = np.random.default_rng(0).normal(size=number).astype(np.float32)
        data = warmup.prediction_log("x" * number, {"ä" * number: tf.make_tensor_proto(values)})
        request = prediction_log.FromString(data).predict_log.request
        assert request.model_spec.signature_name == "x" * number
        (name, tensor), = request.inputs.items()  # fmt: skip
        assert name == "ä" * number
        decoded = tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor.SerializeToString()))
        np.testing.assert_array_equal(decoded, values)


@pytest.mark.parametrize("value, expected", [
    (0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**32, "8080808010"),
])  # fmt: skip
def test_varints(value, expected):
    """300 = 0b10_0101100: the low seven bits with the eighth set, then 2 (protobuf.dev/programming-guides/encoding)."""
    assert warmup._varint(value).hex() == expected
