"""The review's script on a plain page, fed by the real answers of this process."""

from __future__ import annotations

from typing import Any

import view_page
from view_page import draw, load_view

from ft_notebook.notebook.review.review import Review
from ft_notebook.notebook.review.view import SCRIPTS, ReviewView


class Kernel(view_page.Kernel):
    """Answers the page with the real thing."""

    view: ReviewView

    def show(self, review: Review[Any]) -> ReviewView:
        """Draw this review."""
        self.view = ReviewView(review)
        self.view.send = self.outbox.append      # type: ignore[method-assign]
        draw(self.page, state=self.view.state)
        return self.view

    def take(self, message: Any) -> dict[str, Any]:
        self.view._handle_custom_msg(message, [])
        return {"state": self.view.state}


def load(page: Any, theme: str = "light") -> None:
    """A page with the script, without drawing anything."""
    load_view(page, theme, scripts=SCRIPTS, style="review/review.css")
