"""A job that Python 3.6 can't compile."""


def first_long(words):
    for word in words:
        if (length := len(word)) > 5:
            return word
    return length
