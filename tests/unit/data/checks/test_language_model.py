"""Many texts at once are told as the library tells each alone."""

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from ft_notebook.data.checks.language_model import language_model

TEXTS = [
    "Please tell me how I can change the address on my invoices.", "Bitte sagen Sie mir, wie ich die Adresse ändern kann.",
    "Пожалуйста, скажите мне, как я могу изменить адрес.", "請告訴我如何更改發票上的地址。", "請告訴我", "NAJVEĆI GRAD U ZEMLJI JE NA SEVERU", "Највећи град у земљи",
    "", "1", "zzzzqqqq", "cafe\u0301 noir et une baguette", "\ud800 alone", "a" * 2000, "Merci beaucoup", "你好",
]


def test_texts_that_are_told_together_have_the_probabilities_of_each_alone():
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    for text, ranking in zip(TEXTS, language_model().rankings(TEXTS), strict=True):
        alone = dict(identifier.rank(text))
        assert list(ranking.values()) == sorted(ranking.values(), reverse=True)
        assert ranking == pytest.approx({code: alone[code] for code in ranking}, abs=1e-4), text
        assert max(ranking.values()) == pytest.approx(max(alone.values()), abs=1e-4)


def test_a_text_without_features_could_be_in_any_language_and_no_text_is_none():
    ranking = language_model().rankings([""])[0]
    assert max(ranking.values()) == pytest.approx(min(ranking.values()), abs=0.02)
    assert language_model().rankings([]) == []
