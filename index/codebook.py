#!/usr/bin/env python3
"""codebook.py - the sixteen points of k dimensions that codebook.c keeps, as its tables.

A k-means of normal numbers (Lloyd 1982; Linde, Buzo & Gray 1980), the best of several starts, then
rounded to whole numbers from -15 to 15 at the factor that loses least. For each k it prints the
table and the distortion: the part of a normal vector's energy that its points do not hold.

usage: python3 index/codebook.py        needs numpy; some minutes
"""
import numpy as np

POINTS, LEVEL_MAX, STARTS, ROUNDS = 16, 15, 40, 50


def nearest(vectors, points):
    return (vectors @ points.T - 0.5 * (points * points).sum(1)).argmax(1)


def distortion(vectors, points):
    held = points[nearest(vectors, points)]
    return 1 - (vectors * held).sum() ** 2 / ((vectors * vectors).sum() * (held * held).sum())


def learn(k, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((30000, k)).astype(np.float32)
    points = vectors[rng.choice(len(vectors), POINTS, replace=False)]
    for _ in range(ROUNDS):
        own = nearest(vectors, points)
        points = np.stack([vectors[own == i].mean(0) if (own == i).any() else rng.standard_normal(k)
                           for i in range(POINTS)]).astype(np.float32)
    return distortion(vectors, points), points


def main():
    vectors = np.random.default_rng(99)
    for k in (2, 3, 4):
        test = vectors.standard_normal((200000, k)).astype(np.float32)
        best = (1, None, None)
        for _, points in sorted((learn(k, s) for s in range(STARTS)), key=lambda t: t[0])[:4]:
            for factor in np.linspace(0.9, 1, 6) * LEVEL_MAX / np.abs(points).max():
                whole = np.round(points * factor)
                best = min(best, (distortion(test, whole / factor), factor, whole), key=lambda t: t[0])
        print(f"k {k}: distortion {best[0]:.4f}, one deviation is {best[1]:.2f} levels")
        order = np.lexsort(best[2].T[::-1])
        for plane in best[2][order].T.astype(int):
            print("   {" + ", ".join(str(v + LEVEL_MAX) for v in plane) + "},")


if __name__ == "__main__":
    main()
