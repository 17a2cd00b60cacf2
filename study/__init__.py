"""The clinicians' study of the paper: blinded pairs of films, a questionnaire, and what the votes say (table 3).

``manifest`` is what a study is, ``session`` what a rater is shown, ``store`` keeps the votes, ``routes`` serves the
page (``page/``), ``results`` evaluates. ``create`` makes a study from what ``sources`` finds.
"""
