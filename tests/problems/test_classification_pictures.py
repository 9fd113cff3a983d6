import numpy as np

from jaxdl.problems.classification_pictures import draw_mistakes


def test_the_worst_mistakes_come_first():
    images = np.zeros((3, 4, 4, 1), np.uint8)
    probability = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    figure = draw_mistakes(images, probability, np.array([1, 1, 1]), ["bag", "coat"])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["coat,\nnot bag (90 %)", "coat,\nnot bag (60 %)"]
