# Every script of scripts/ runs to its end in a very small setting, on a made-up set in Fashion-MNIST's files.
import gzip
import re
import struct

import numpy
import pytest

from conftest import ROOT

SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("[0-9]*.lua"))
# script: settings, what its last line is, files that it leaves
RUNS = {
    "01_fashion_mnist.lua": ("samples=600 epochs=1 save_every=1", r"test: loss \d\.\d+  accuracy 0\.\d+", ["out/loss.svg"]),
    "02_raw_loop.lua": ("samples=600 epochs=1 save_every=1", r"test: loss \d\.\d+  accuracy 0\.\d+",
                        ["out/raw/*/model.safetensors"]),
    "03_own_optimizer.lua": ("steps=5", r"resumed with lr .*", []),
    "04_image_classifier.lua": ("samples=144 epochs=1 width=0.0625 batch_size=16", r"test: .* among the best three \d\.\d+", []),
    "04_image_classifier.lua mobilenet": ("model=mobilenet_v2 samples=120 epochs=1 width=0.25 batch_size=40 tests=20",
                                          r"test: .* among the best three \d\.\d+", []),
    "05_segmentation.lua": ("scenes=16 size=32 width=2 epochs=1", r"validation: loss \d\.\d+  pixels right .*",
                            ["out/unet/scenes.png"]),
    "06_vae.lua": ("samples=240 width=2 epochs=1", r"validation: loss .*; pictures in out/vae",
                   ["out/vae/epoch_01.png", "out/vae/again.png", "out/vae/loss.svg"]),
    "07_gan.lua": ("samples=128 width=2 epochs=1", r"pictures of every epoch .* out/gan",
                   ["out/gan/epoch_01.png", "out/gan/last/generator.safetensors"]),
    "08_detector.lua": ("scenes=8 size=48 width=2 epochs=1 every=1", r"mAP -?\d\.\d+  at IoU 0\.50 .*", ["out/detector/found.png"]),
    "10_char_lstm.lua": ("epochs=1 limit=3000 hidden_size=8 count=30", r"validation: \d\.\d+ nats, \d\.\d+ bits a character", []),
    "11_gpt.lua": ("steps=4 every=2 n_layer=1 n_embd=16 block_size=16 count=40 batch_size=4",
                   r"15 characters: \d+ a second of CPU time with the cache, \d+ without; the same: true", []),
    "12_recommender.lua": ("epochs=2", r"democrat 1: \S+ \(0\.\d+\), \S+ \(0\.\d+\)", []),
    "13_translator.lua": ("epochs=1 limit=60 width=16 layers=1 beam=2", r"BLEU: \d+\.\d greedy, \d+\.\d with a beam of 2", []),
    "14_forecaster.lua": ("epochs=2 hidden_size=4 out=forecast.csv", r"\d+ anomalies beyond 3 deviations", ["forecast.csv"]),
    "15_odd_and_even.lua": ("samples=500 epochs=2", r"odd or even: \d+\.\d % of the validation set", ["mlflow.db"]),
    "16_mlflow_callback.lua": ("", r"class: 2 entries, val_loss \d+\.\d+", ["mlflow.db"]),
    "17_learning_rates.lua": ("samples=500 epochs=2 rates=0.1,0.01", r"best learning rate: 0\.\d+ .*", ["mlflow.db"]),
    "18_every_k_epochs.lua": ("budget=100%", r"3 entries of 5 tries, val_accuracy \d\.\d+", ["out/every/epoch_12.safetensors"]),
    "19_cart_pole.lua": ("episodes=20", r"after 20 episodes the pole stands for \d+ steps", []),
    "20_one_cycle.lua": ("samples=500 epochs=1 tries=12", r"validation: accuracy \d\.\d+", ["out/one_cycle/ramp.svg"]),
    "21_monitoring.lua": ("samples=400 epochs=2 poison=3", r"1 bad batches left out, weights finite: true, .*",
                          ["out/monitoring/train/events.*"]),
    "22_autolog.lua": ("epochs=3", r"\S+: optimizer sgd, loss \d+\.\d+", ["mlflow.db", "mlruns/1/models"]),
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """A folder for TRAINHOST_DATASETS: 600 and 100 images, each a bright square whose place tells its class."""
    folder = tmp_path_factory.mktemp("datasets") / "fashion-mnist"
    folder.mkdir()
    random = numpy.random.default_rng(1)
    for part, count in (("train", 600), ("t10k", 100)):
        labels = random.integers(0, 10, count).astype(numpy.uint8)
        images = random.integers(0, 20, (count, 28, 28)).astype(numpy.uint8)
        for image, label in zip(images, labels):
            image[2 + label:12 + label, 4:20] = 200
        with gzip.open(folder / f"{part}-images-idx3-ubyte.gz", "wb", 1) as file:
            file.write(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
        with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz", "wb", 1) as file:
            file.write(struct.pack(">II", 2049, count) + labels.tobytes())
    return folder.parent


@pytest.mark.parametrize("name", RUNS)
def test_script_runs_to_its_end(trainhost, tmp_path, datasets, name):
    settings, last, files = RUNS[name]
    given = [part for setting in settings.split() for part in ("--set", setting)]
    done = trainhost.run(ROOT / "scripts" / name.split()[0], *given, cwd=tmp_path,
                         env={"TRAINHOST_DATASETS": str(datasets), "OMP_NUM_THREADS": "1"})
    assert re.fullmatch(last, done.stdout.splitlines()[-1]), done.stdout
    for file in files:
        (found,) = tmp_path.glob(file)
        assert found.stat().st_size > 0
        if file.endswith(".png"):
            assert found.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


# script: settings that it refuses at its start, the error
REFUSED = [
    ("02_raw_loop.lua", "epochs=0", "--set epochs=0: expected a number at least 1"),
    ("02_raw_loop.lua", "save_every=0", "--set save_every=0: expected a number at least 1"),
    ("03_own_optimizer.lua", "steps=0", "--set steps=0: expected a number at least 1"),
    ("04_image_classifier.lua", "samples=120 batch_size=111", "batch_size = 111: there are 110 samples to train on"),
    ("05_segmentation.lua", "size=30", "size = 30: expected a multiple of 8, at least 16"),
    ("05_segmentation.lua", "size=8", "size = 8: expected a multiple of 8, at least 16"),
    ("07_gan.lua", "samples=128 batch_size=129", "batch_size = 129: there are 128 samples to train on"),
    ("08_detector.lua", "size=47", "size = 47: expected a multiple of 8, at least 16"),
    ("10_char_lstm.lua", "temperature=-1", "--set temperature=-1: expected a number at least 0"),
    ("10_char_lstm.lua", "file=short.txt", "short.txt is too short: expected at least 170 characters"),
    ("10_char_lstm.lua", "file=empty.txt", "empty.txt is too short: expected at least 170 characters"),
    ("11_gpt.lua", "file=short.txt", "short.txt is too short: expected at least 650 characters"),
    ("12_recommender.lua", "file=empty.txt", "empty.txt is too short: expected at least 10 scores"),
    ("13_translator.lua", "file=short.txt", "short.txt is too short: expected at least 2 pairs of sentences"),
    ("14_forecaster.lua", "file=short.txt", "short.txt is too short: expected at least 5 rows to learn from"),
    ("17_learning_rates.lua", "rates=", "rates is empty"),
]


@pytest.mark.parametrize("name,settings,error", REFUSED, ids=[f"{name} {settings}" for name, settings, _ in REFUSED])
def test_script_refuses_settings_before_it_trains(trainhost, tmp_path, datasets, name, settings, error):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "short.txt").write_text("a\tb\n")
    given = [part for setting in settings.split() for part in ("--set", setting)]
    done = trainhost.run(ROOT / "scripts" / name, *given, cwd=tmp_path, check=False,
                         env={"TRAINHOST_DATASETS": str(datasets), "OMP_NUM_THREADS": "1"})
    assert done.returncode != 0
    assert error in done.stderr
    assert "epoch" not in done.stdout


def test_a_temperature_of_zero_writes_the_likeliest(trainhost, tmp_path):
    settings = "epochs=1 limit=3000 hidden_size=8 count=30 temperature=0".split()
    done = trainhost.run(ROOT / "scripts/10_char_lstm.lua", *[part for each in settings for part in ("--set", each)],
                         cwd=tmp_path, env={"OMP_NUM_THREADS": "1"})
    assert done.stdout.splitlines()[-1].startswith("validation: ")


def test_every_script_is_run_and_in_the_readme():
    assert SCRIPTS == sorted({name.split()[0] for name in RUNS})
    shown = re.findall(r"^\| `(\d\S+)`", (ROOT / "scripts/README.md").read_text(), re.M)
    assert shown == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_short(name):
    assert len((ROOT / "scripts" / name).read_text().splitlines()) < 150
