#!/usr/bin/env python3
"""tercet eval sts, pairs, rerank, cluster and classify against scipy and scikit-learn, on the vectors
of `tercet encode` and made texts, many of them equal so that there are ties. Clusters are compared
from the same start, classifiers of the same samples, both drawn here again.

usage: tasks_agree.py TERCET [PYTHON]

PYTHON has scikit-learn (tools/setup.sh test makes it: .cache/clients/bin/python); without it the
test is skipped (77).
"""
import json
import os
import random
import sys
import tempfile

if len(sys.argv) > 2:
    if not os.path.exists(sys.argv[2]):
        print(f"no scikit-learn: {sys.argv[2]} is missing (tools/setup.sh test makes it)")
        sys.exit(77)
    os.execv(sys.argv[2], [sys.argv[2], *sys.argv[:2]])

# Threads that wait for each other cost more here than they give.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
try:
    import numpy
    import scipy.stats
    import sklearn.cluster
    import sklearn.linear_model
    import sklearn.metrics
except ImportError as missing:
    print(f"left out: {missing}")
    sys.exit(77)

from served import check, random_model, run  # noqa: E402

TERCET = sys.argv[1]
WORDS = ("moon tide sea bee flower dance salt tax france violin string ice float light whale song "
         "ocean bridge tower glass paper river stone cloud winter bread").split()


MASK = (1 << 64) - 1


class Draws:
    """engine/base/random.h: splitmix64."""

    def __init__(self, seed):
        self.state = seed

    def u64(self):
        self.state = (self.state + 0x9e3779b97f4a7c15) & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 & MASK
        z = (z ^ z >> 27) * 0x94d049bb133111eb & MASK
        return z ^ z >> 31

    def uniform(self):
        return (self.u64() >> 11) * 2.0 ** -53

    def below(self, n):
        return (self.u64() >> 32) * n >> 32


def texts_of(pick, n):
    return [" ".join(pick.choices(WORDS, k=pick.randint(1, 12))) for _ in range(n)]


def jsonl(path, rows):
    with open(path, "w") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    return path


class Vectors:
    """Text to f64 vector, each text encoded once."""

    def __init__(self, model):
        self.model, self.known = model, {}

    def of(self, texts):
        once = [text for text in dict.fromkeys(texts) if text not in self.known]
        lines = once and run(TERCET, "encode", "-m", self.model, "--dense", stdin="".join(
            json.dumps({"text": text}) + "\n" for text in once)).splitlines()
        for text, line in zip(once, lines):
            self.known[text] = numpy.array(json.loads(line)["dense"], numpy.float32).astype(float)
        return numpy.stack([self.known[text] for text in texts])


def cosines(a, b):
    return (a * b).sum(-1) / numpy.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def agree(what, ours, theirs):
    worst = max(abs(ours[name] - value) for name, value in theirs.items())
    check(worst < 1e-6, f"{what}: {len(theirs)} figures, largest difference {worst:.1e}")


def ask(task, *words):
    return json.loads(run(TERCET, "eval", task, *words, "--json"))


def sts(folder, vectors, pick):
    some = texts_of(pick, 40)
    rows = [{"sentence1": pick.choice(some), "sentence2": pick.choice(some),
             "score": pick.randint(0, 10) / 2} for _ in range(pick.choice([3, 50, 300]))]
    rows[0]["score"] = 9
    said = [row["score"] for row in rows]
    found = cosines(vectors.of([row["sentence1"] for row in rows]),
                    vectors.of([row["sentence2"] for row in rows]))
    agree(f"sts, {len(rows)} pairs", ask("sts", jsonl(f"{folder}/sts", rows), "-m", vectors.model),
          {"spearman": scipy.stats.spearmanr(found, said).statistic,
           "pearson": scipy.stats.pearsonr(found, said).statistic})


def best_cuts(scores, labels):
    """MTEB's find_best_acc_and_threshold and find_best_f1_and_threshold, from what they say."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    accuracy, f1 = (0, -1), (0, 0, 0, 0)
    for cut in range(1, len(order)):
        taken = [labels[i] for i in order[:cut]]
        left = [labels[i] for i in order[cut:]]
        threshold = (scores[order[cut - 1]] + scores[order[cut]]) / 2
        value = (sum(taken) + len(left) - sum(left)) / len(labels)
        if value > accuracy[0]:
            accuracy = (value, threshold)
        if sum(taken):
            precision, recall = sum(taken) / cut, sum(taken) / sum(labels)
            value = 2 * precision * recall / (precision + recall)
            if value > f1[0]:
                f1 = (value, threshold, precision, recall)
    return accuracy, f1


def pairs(folder, vectors, pick):
    some = texts_of(pick, 30)
    n = pick.choice([4, 60, 200])
    first, second = pick.choices(some, k=n), pick.choices(some, k=n)
    labels = [0, 1] + [pick.randint(0, 1) for _ in range(n - 2)]
    a, b = vectors.of(first), vectors.of(second)
    kinds = {"ap": cosines(a, b), "ap_dot": (a * b).sum(-1),
             "ap_euclidean": -numpy.sqrt(((a - b) ** 2).sum(-1)),
             "ap_manhattan": -abs(a - b).sum(-1)}
    theirs = {name: sklearn.metrics.average_precision_score(labels, scores)
              for name, scores in kinds.items()}
    ours = ask("pairs", jsonl(f"{folder}/pairs", [{"sentence1": first, "sentence2": second,
                                                   "labels": labels}]), "-m", vectors.model)
    check(ours["ap_max"] == max(ours[name] for name in kinds), "ap_max is the largest")
    accuracy, f1 = best_cuts(kinds["ap"].tolist(), labels)
    agree(f"pairs, {n} of them", ours,
          {**theirs, "accuracy": accuracy[0], "accuracy_threshold": accuracy[1], "f1": f1[0],
           "f1_threshold": f1[1], "f1_precision": f1[2], "f1_recall": f1[3]})


def rerank(folder, vectors, pick):
    some = texts_of(pick, 50)
    vectors.of(some)
    rows = [{"query": pick.choice(some), "positive": pick.choices(some, k=pick.randint(0, 4)),
             "negative": pick.choices(some, k=pick.randint(0, 25))} for _ in range(40)]
    aps, mrrs = [], []
    for row in rows:
        if not row["positive"] or not row["negative"]:
            continue
        relevant = [1] * len(row["positive"]) + [0] * len(row["negative"])
        found = cosines(vectors.of([row["query"]]), vectors.of(row["positive"] + row["negative"]))
        order = numpy.argsort(-found, kind="stable")[:10]
        aps.append(sklearn.metrics.average_precision_score(relevant, found))
        mrrs.append(next((1 / rank for rank, i in enumerate(order, 1) if relevant[i]), 0))
    agree(f"rerank, {len(aps)} queries",
          ask("rerank", jsonl(f"{folder}/rerank", rows), "-m", vectors.model),
          {"map": numpy.mean(aps), "mrr@10": numpy.mean(mrrs), "queries": len(aps),
           "dropped": len(rows) - len(aps)})


def start_of(points, k, seed):
    """Greedy k-means++ with the draws of tools/eval/task_kmeans.c."""
    draws = Draws(seed)
    chosen = [draws.below(len(points))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < k:
        tried = []
        for _ in range(2 + int(numpy.log(k))):
            target = draws.uniform() * nearest.sum()
            i = min(int(numpy.searchsorted(numpy.cumsum(nearest), target, "right")), len(points) - 1)
            closer = numpy.minimum(nearest, ((points - points[i]) ** 2).sum(1))
            tried.append((closer.sum(), len(tried), i, closer))
        _, _, best, nearest = min(tried, key=lambda one: one[:2])
        chosen.append(best)
    return points[chosen]


def cluster(folder, vectors, pick):
    """True where the v-measures are equal; a start may differ by rounding."""
    k, n = pick.choice([(2, 40), (5, 150), (12, 400)])
    subjects = [pick.sample(WORDS, 5) for _ in range(k)]
    labels = [pick.randrange(k) for _ in range(n)]
    texts = [" ".join(pick.choices(subjects[label], k=6) + pick.choices(WORDS, k=3))
             for label in labels]
    seed = pick.randrange(1000)
    ours = ask("cluster", jsonl(f"{folder}/cluster", [{"sentences": texts, "labels": labels}]), "-m",
               vectors.model, "--seed", str(seed))
    points, kinds = vectors.of(texts), len(set(labels))
    theirs = sklearn.cluster.KMeans(kinds, init=start_of(points, kinds, seed), n_init=1, tol=0).fit(
        points)
    v = sklearn.metrics.v_measure_score(labels, theirs.labels_)
    apart = abs(ours["v_measure"] - v)
    print(f"      cluster, {n} texts, {k} labels: v-measure {v:.4f}, difference {apart:.1e}; sum of "
          f"squares {theirs.inertia_:.6f}, {ours['sums_of_squares'][0]:.6f}")
    return apart < 1e-6


def samples_of(labels, samples, seed):
    """The draws of tools/eval/task_classify.c."""
    draws, order, counts, out = Draws(seed), list(range(len(labels))), {}, []
    for i in range(len(order)):
        j = i + draws.below(len(order) - i)
        order[i], order[j] = order[j], order[i]
        label = labels[order[i]]
        counts[label] = counts.get(label, 0) + 1
        if counts[label] <= samples:
            out.append(order[i])
    return out


def classify(folder, vectors, pick):
    k, seed = pick.choice([2, 3, 9]), pick.randrange(1000)
    subjects = [pick.sample(WORDS, 6) for _ in range(k)]
    labels = [pick.randrange(k) for _ in range(300)]
    texts = [" ".join(pick.choices(subjects[label], k=3) + pick.choices(WORDS, k=4))
             for label in labels]
    rows = [{"text": text, "label": label} for text, label in zip(texts, labels)]
    ours = ask("classify", jsonl(f"{folder}/train", rows[:200]), jsonl(f"{folder}/test", rows[200:]),
               "-m", vectors.model, "--seed", str(seed))
    points, kinds = vectors.of(texts), numpy.array(labels)
    figures = {"accuracy": [], "f1": [], "ap": []}
    for experiment in range(10):
        some = samples_of(labels[:200], 8, seed + experiment)
        # MTEB's, but to the end: its tol of 1e-4 stops before the optimum.
        model = sklearn.linear_model.LogisticRegression(max_iter=10000, tol=1e-10)
        found = model.fit(points[some], kinds[some]).predict(points[200:])
        figures["accuracy"].append(sklearn.metrics.accuracy_score(kinds[200:], found))
        figures["f1"].append(sklearn.metrics.f1_score(kinds[200:], found, average="macro"))
        if k == 2:
            figures["ap"].append(sklearn.metrics.average_precision_score(kinds[200:], found))
    check(max(ours["gradient_max"]) <= 1e-6 and ours["steps_max"] < 100, "classify: at the optimum")
    agree(f"classify, {k} labels, accuracy {ours['accuracy']:.3f}", ours,
          {name + end: of(values) for name, values in figures.items() if values
           for end, of in (("", numpy.mean), ("_std", numpy.std))})


def main():
    with tempfile.TemporaryDirectory() as folder:
        vectors = Vectors(random_model(TERCET, "m3", f"{folder}/model"))
        for seed in range(4):
            for task in (sts, pairs, rerank):
                task(folder, vectors, random.Random(seed))
        for seed in (0, 1, 5):
            classify(folder, vectors, random.Random(seed))
        alike = sum(cluster(folder, vectors, random.Random(seed)) for seed in range(6))
        check(alike >= 5, f"cluster: {alike} of 6 as from scikit-learn's KMeans")
    print("tasks agree")


main()
