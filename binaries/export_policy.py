"""Writes a policy as a SavedModel that runs without this project.

    tf-apil export_policy --policy=ysnp/walker --root_dir=exported/walker
    tf-apil export_policy --policy=sumo_ants/v1 --root_dir=exported/sumo --results=runs/table

The policy may be feed-forward or recurrent, of the zoo, published by others, shipped with us, or trained here. Its
signatures:

    serving_default  observation [B, D] -> action [B, A], the mean
    sample           observation, seed (one int32 or two) -> action, mean, log_std
    value            observation -> value [B]
    initial_state    batch_size (int32) -> state [B, 4, 128]; of recurrent policies, which also take a `state` in the
                     other three and give the next one in the first two

Beside the SavedModel lie warm-up requests for TensorFlow Serving, the weights as plain arrays (policy.npz), and a card
(policy.json): game, seat, shapes, source, checksums, and win rates where --results gives them.
"""

from absl import flags

from . import program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", None, "The SavedModel's folder.", required=True)
flags.DEFINE_string(
    "policy", None, "The policy: a zoo name, a shipped one, a weight file, a run's folder, a SavedModel.", required=True
)
flags.DEFINE_string(
    "results",
    None,
    "A results.json of binaries.evaluate, or its folder: win rates of the same weights go into the card.",
)


def main() -> None:
    from tf_apil import serving
    from tf_apil.evaluation import tables
    from tf_apil.models import loading as keras_loading
    from tf_apil.policies import loading

    found = loading.resolve(FLAGS.policy, FLAGS.zoo_dir)
    model, card = keras_loading.of(found), found.card
    if FLAGS.results:
        rows = tables.read(FLAGS.results)
        if not rows:
            raise FileNotFoundError(f"--results={FLAGS.results} is neither a results.json nor a folder that holds one.")
        card["win_rates"] = tables.win_rates(rows, found.sha256, FLAGS.policy)
    path = serving.export(model, FLAGS.root_dir, card)
    print(f"policy: {path}")


if __name__ == "__main__":
    program.run(main)
