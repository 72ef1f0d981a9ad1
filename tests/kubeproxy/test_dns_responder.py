"""From packet to packet: flags, cases, sizes, aliases, the cache, and packets that mean harm."""

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make import a_service

from kubeproxy.dns.responder import Elsewhere, Responder, bare_answer, with_aliases
from kubeproxy.dns.zone import Record, Zone
from tests.kubeproxy.slices import a_slice, an_endpoint

WEB = "web.default.svc.cluster.local."


def a_zone(cluster_ip: str = "10.96.0.7", pods: int = 3) -> Zone:
    services = [
        a_service("web", ports=((80, 80),), cluster_ip=cluster_ip),
        a_service("db", ports=((80, 80),), cluster_ip="None"),
        a_service("alias", ports=(), cluster_ip="", type="ExternalName", external_name=WEB),
        a_service("far", ports=(), cluster_ip="", type="ExternalName", external_name="example.com"),
        a_service("loop", ports=(), cluster_ip="", type="ExternalName", external_name="loop.default.svc.cluster.local"),
    ]
    return Zone(services, [a_slice("db", *(an_endpoint(f"10.244.0.{n}") for n in range(pods)))])


def ask(name: str, type: str = "A", *, responder: Responder | None = None, **options: object) -> dns.message.Message:
    query = dns.message.make_query(name, type, **options)  # type: ignore[arg-type]
    answer = (responder or Responder(a_zone())).respond(query.to_wire())
    assert isinstance(answer, bytes)
    reply = dns.message.from_wire(answer)
    assert query.is_response(reply)
    return reply


def test_an_answer_is_authoritative_lasts_five_seconds_and_keeps_the_case_asked():
    reply = ask("WeB.default.SVC.cluster.local.")

    assert [record.to_text() for record in reply.answer] == ["WeB.default.SVC.cluster.local. 5 IN A 10.96.0.7"]
    assert reply.flags == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA
    assert reply.edns == -1


def test_edns_is_answered_with_edns():
    assert ask(WEB, use_edns=0, payload=4096).payload == 1232
    assert ask(WEB, use_edns=1).rcode() == dns.rcode.BADVERS


@pytest.mark.parametrize(("type", "rcode"), [("AAAA", dns.rcode.NOERROR), ("MX", dns.rcode.NOERROR)])
def test_a_type_that_a_name_does_not_have_is_no_data_with_the_soa(type: str, rcode: dns.rcode.Rcode):
    reply = ask(WEB, type)

    assert (reply.rcode(), reply.answer, reply.authority[0].name.to_text()) == (rcode, [], "cluster.local.")


def test_a_name_that_does_not_exist_says_so_with_the_soa():
    reply = ask("nobody.default.svc.cluster.local.")

    assert (reply.rcode(), reply.authority[0].ttl) == (dns.rcode.NXDOMAIN, 5)


def test_an_alias_inside_the_cluster_is_followed():
    reply = ask("alias.default.svc.cluster.local.")

    assert [record.to_text() for record in reply.answer] == [
        f"alias.default.svc.cluster.local. 5 IN CNAME {WEB}",
        f"{WEB} 5 IN A 10.96.0.7",
    ]


def test_an_alias_that_leads_to_itself_ends():
    assert ask("loop.default.svc.cluster.local.").rcode() == dns.rcode.NOERROR


def test_an_alias_outside_is_asked_elsewhere_and_put_together():
    query = dns.message.make_query("far.default.svc.cluster.local.", "A")
    elsewhere = Responder(a_zone()).respond(query.to_wire())
    assert isinstance(elsewhere, Elsewhere)
    assert elsewhere.name.to_text() == "example.com."

    theirs = dns.message.make_response(dns.message.make_query("example.com.", "A"))
    theirs.answer.append(dns.rrset.from_text("example.com.", 300, "IN", "A", "192.0.2.7"))
    reply = dns.message.from_wire(with_aliases(elsewhere, theirs))

    assert [record.to_text() for record in reply.answer] == [
        "far.default.svc.cluster.local. 5 IN CNAME example.com.",
        "example.com. 300 IN A 192.0.2.7",
    ]
    assert dns.message.from_wire(with_aliases(elsewhere, None)).rcode() == dns.rcode.SERVFAIL
    assert elsewhere.so_far == (Record("far.default.svc.cluster.local.", "CNAME", "example.com."),)


def test_answers_from_memory_are_the_same_until_the_zone_changes():
    responder = Responder(a_zone())
    first = ask(WEB, responder=responder)
    assert ask(WEB, responder=responder).answer == first.answer

    responder.use(a_zone("10.96.0.99"))

    assert ask(WEB, responder=responder).answer[0][0].to_text() == "10.96.0.99"


def test_clients_that_take_the_first_address_spread_out():
    responder = Responder(a_zone())

    firsts = {ask("db.default.svc.cluster.local.", responder=responder).answer[0][0].to_text() for _ in range(64)}

    assert len(firsts) > 1


def test_what_is_too_long_for_udp_is_cut_and_whole_over_tcp():
    responder = Responder(a_zone(pods=200))
    query = dns.message.make_query("db.default.svc.cluster.local.", "A")

    cut, whole = responder.respond(query.to_wire()), responder.respond(query.to_wire(), tcp=True)

    assert isinstance(cut, bytes)
    assert len(cut) <= 512
    assert dns.message.from_wire(cut, raise_on_truncation=False).flags & dns.flags.TC
    assert isinstance(whole, bytes)
    assert len(dns.message.from_wire(whole).answer[0]) == 200


def test_other_classes_transfers_and_opcodes_are_turned_down():
    assert ask("version.bind.", "TXT", rdclass="CH").rcode() == dns.rcode.REFUSED
    assert ask("cluster.local.", "AXFR").rcode() == dns.rcode.REFUSED
    notify = dns.message.make_query(WEB, "A")
    notify.set_opcode(dns.opcode.NOTIFY)
    assert Responder(a_zone()).respond(notify.to_wire()) == bare_answer(notify.to_wire(), dns.rcode.NOTIMP)


def test_answers_and_scraps_get_no_answer():
    reply = dns.message.make_response(dns.message.make_query(WEB, "A"))

    assert Responder(a_zone()).respond(reply.to_wire()) is None
    assert Responder(a_zone()).respond(b"\x00" * 11) is None


def test_names_of_others_are_theirs():
    assert isinstance(Responder(a_zone()).respond(dns.message.make_query("example.com.", "A").to_wire()), Elsewhere)


VALID = dns.message.make_query(WEB, "A", use_edns=0).to_wire()


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=600),
        st.binary(max_size=64).map(lambda noise: VALID[:12] + noise),
        st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)).map(
            lambda at: VALID[: at[0]] + bytes([at[1]]) + VALID[at[0] + 1 :]
        ),
    )
)
def test_no_packet_breaks_it(packet: bytes):
    responder = Responder(a_zone())

    answer = responder.respond(packet)

    assert answer is None or isinstance(answer, Elsewhere) or answer[:2] == packet[:2]
    assert responder.respond(VALID) is not None
