"""What pages show of values."""

from quorate.api.console.pages import FACTS_SHOWN_MAX, facts, keep_moment


def test_list_shows_names_instead_of_ids() -> None:
    data = {"agentId": "agent_1", "agentName": "ann", "contactKey": "k", "to": [], "leaseId": "l"}
    assert facts(data) == [("agentName", "ann"), ("leaseId", "l")]
    assert len(facts({str(number): number for number in range(99)})) == FACTS_SHOWN_MAX


def test_values_are_not_taken_for_links() -> None:
    value = '&lt;a href=&#34;/console/leases&#34;&gt; href="x'
    html = f'<p>{value}</p><a title="t" href="/console/leases?agent=a">L</a><form method="post">'

    kept = keep_moment(html, "7")

    assert kept == html.replace("?agent=a", "?agent=a&amp;asOf=7")


def test_form_keeps_a_moment_with_any_character() -> None:
    form = '<form class="filters" method="get" action="/console/leases">'

    assert keep_moment(form, r"\1").endswith(r'name="asOf" value="\1">')
    assert keep_moment('<a href="/console/" data-present>', "7") == (
        '<a href="/console/" data-present>'
    )
