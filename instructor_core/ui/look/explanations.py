"""The views of Why: from two selected texts and two instructions to sentences, chips and figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from instructor_core.analysis.attribution import Contributions, Ledger, Term, ledger, ledger_difference
from instructor_core.analysis.deletion import combine, deletions, drop
from instructor_core.analysis.grid import letter
from instructor_core.analysis.layers import (
    layer_divergence,
    layer_similarity,
    pool_layers,
    read_groups,
    segment_attention,
    write_shares,
)
from instructor_core.analysis.movement import movement, neighbor_change
from instructor_core.analysis.numbers import counted, number, signed
from instructor_core.analysis.pooled import (
    blocks,
    compare_mistakes,
    make_mistakes,
    pools_instruction,
    pools_one,
    text_part,
)
from instructor_core.analysis.pooling import boundary, compare_recipes, recipe_pairs
from instructor_core.analysis.similarity import cosine_matrix
from instructor_core.errors import UserError
from instructor_core.figures import attribution as attribution_figures
from instructor_core.figures import deletion as deletion_figures
from instructor_core.figures import layers as layer_figures
from instructor_core.figures import movement as movement_figures
from instructor_core.figures import pooling as pooling_figures
from instructor_core.figures.token_rows import TokenRows
from instructor_core.ui.look.canvas import Context, Drawing

if TYPE_CHECKING:
    from instructor_core.encoder import TokenEncoding

N_TERMS = 6
N_NEIGHBORS = 3
EQUAL = 1e-6
MAX_LAYER_TEXTS = 24  # the states of every layer of every text: bounded work and memory


def _texts(context: Context) -> tuple[str, str]:
    """The two selected texts."""
    return context.inputs.texts[context.selected.row], context.inputs.texts[context.selected.column]


def _instructions(context: Context) -> tuple[int, int]:
    """The two instructions asked about, which may be one, by index."""
    return context.selected.instruction, context.instruction("explain.second_instruction")


def _under_both(context: Context, *, deep: bool = False) -> list[TokenEncoding]:
    """The first selected text under both instructions."""
    text, instructions = context.inputs.texts[context.selected.row], context.inputs.instructions
    return context.encoder.encode_tokens([(instructions[k], text) for k in _instructions(context)], deep=deep)


def explain_pair(context: Context) -> Drawing:
    """Why two texts are similar: the terms of their cosine, under one instruction or two."""
    inputs, texts, which = context.inputs, _texts(context), list(dict.fromkeys(_instructions(context)))
    encoded = context.encoder.encode_tokens([(inputs.instructions[k], text) for k in which for text in texts])
    by = context.options["explain.by"]
    tables = [ledger(encoded[2 * at], encoded[2 * at + 1], by=by) for at in range(len(which))]
    if pools_one(encoded[0]):
        return Drawing((), None, (attribution_figures.one_cell_sentence(tables[0]),))
    first, *others = largest_between_words(tables[0], N_TERMS)
    sentences = [_tie(tables[0], first)]
    pooled = pools_instruction(encoded[0])
    sentences += [attribution_figures.blocks_sentence(tables[0], blocks(tables[0]))] if pooled else []
    sentences += [attribution_figures.term_sentence(tables[0], term) for term in others]
    difference = None
    if len(tables) == 2 and not pooled:  # two instructions have two sets of tokens
        try:
            difference = ledger_difference(tables[0], tables[1])
        except UserError as error:
            sentences.append(str(error))
        else:
            names = (letter(which[0]), letter(which[1]))
            (largest,) = largest_between_words(difference, 1)
            sentences.append(attribution_figures.difference_sentence(difference, largest, names))
    sentences.append(attribution_figures.ledger_summary(tables[0]))
    return Drawing(
        (attribution_figures.NOT_SHOWN,),
        attribution_figures.ledger_panels(tables, which, inputs.instructions, difference=difference),
        tuple(sentences),
        attribution_figures.ledger_rows(tables[0], texts),
    )


def largest_between_words(terms: Contributions, k: int) -> list[Term]:
    """The k largest terms between words of the texts, or the largest of all where there is no other."""
    ranked = terms.largest(terms.values.size)
    between = [
        term
        for term in ranked
        if not {terms.rows[term.row].segment, terms.columns[term.column].segment} & {"end", "instruction"}
    ]
    return (between or list(ranked))[:k]


def _tie(table: Ledger, term: Term) -> str:
    """The headline: what ties two texts, or keeps them apart."""
    verb = "keeps them apart most" if term.value < 0 else "ties them most"
    pair = f"`{table.rows[term.row].plain}` × `{table.columns[term.column].plain}`"
    return f"{pair} {verb}: {signed(term.value)} of {number(table.cosine)}."


def explain_deletion(context: Context) -> Drawing:
    """What each word of a text does to its similarity: dropped from the mean, and deleted from the input."""
    selected, by = context.selected, context.options["explain.by"]
    instruction = context.inputs.instructions[selected.instruction]
    pair, other = context.encoder.encode_tokens([(instruction, text) for text in _texts(context)])
    dropped = drop(pair, other.embedding, by=by)
    edited = deletions(pair, dropped.units)
    vectors = context.encoder.encode([(instruction, deletion.text) for deletion in edited])
    result = combine(dropped, edited, vectors)
    title = f"Text {selected.row + 1} against text {selected.column + 1} under {letter(selected.instruction)}"
    one = pools_one(pair)
    without_it = result.deleted if one else dropped.similarities.tolist()
    gaps = [
        -1.0 if value is None or unit.segment in ("end", "instruction") else abs(value - dropped.cosine)
        for unit, value in zip(dropped.units, without_it, strict=True)
    ]
    most = int(np.argmax(gaps))
    sentences = [
        f"`{dropped.units[most].plain}` matters most: without it the cosine goes from {number(dropped.cosine)} to "
        f"{number(without_it[most] or 0.0)}."
    ]
    sentences += [deletion_figures.ONE_TOKEN] if one else []
    known = [
        (abs(gap), at, deleted)
        for at, (gap, deleted) in enumerate(zip(result.context, result.deleted, strict=True))
        if gap is not None and deleted is not None
    ]
    if known and not one:
        _, at, deleted = max(known)
        without = float(dropped.similarities[at])
        sentences.append(
            f'Largest gap: "{dropped.units[at].plain}" dropped gives {number(without)}, deleted {number(deleted)}; '
            f"the difference is what the other tokens took from it."
        )
    sentences.append(f"{counted(len(edited), 'shorter text')} encoded, one for each {by}.")
    return Drawing(
        (deletion_figures.NOT_SHOWN,),
        deletion_figures.deletion_panels(result, title=title),
        tuple(sentences),
        deletion_figures.deletion_rows(result, title=title),
    )


def explain_movement(context: Context) -> Drawing:
    """What the second instruction moved in one text, token by token, and in its neighbourhood."""
    (a, b), text = _instructions(context), context.selected.row
    first, second = _under_both(context)
    if pools_instruction(first) or pools_instruction(second):
        cosine = float(cosine_matrix(first.embedding[None], second.embedding[None])[0, 0])
        sentences = [movement_figures.instruction_pooled_sentence(cosine), *_neighbors(context)]
        return Drawing((), None, tuple(sentences))
    result = movement(first, second, by=context.options["explain.by"])
    # How far it moved stands over the figure.
    sentences = list(
        movement_figures.carrier_sentences(result, 3) or [movement_figures.movement_summary(result, a=a, b=b)]
    )
    sentences += _neighbors(context)
    return Drawing(
        (movement_figures.NOT_SHOWN,),
        movement_figures.movement_panels(result, a=a, b=b),
        tuple(sentences),
        movement_figures.movement_rows(result, title=f"Text {text + 1} from {letter(a)} to {letter(b)}"),
    )


def _neighbors(context: Context) -> Sequence[str]:
    """What came near a text and what went, from one instruction to the other."""
    (a, b), text, grid = _instructions(context), context.selected.row, context.grid
    if grid.n_texts < 2:
        return ()
    change = neighbor_change(grid.embeddings[a], grid.embeddings[b], text, k=N_NEIGHBORS)
    return movement_figures.neighbor_sentences(change, grid.texts, a=a, b=b)


def explain_divergence(context: Context) -> Drawing:
    """Where in the network two instructions make the same tokens differ."""
    a, b = _instructions(context)
    first, second = _under_both(context, deep=True)
    if first.layers is None or second.layers is None:
        raise ValueError("deep encodings carry their layers")
    of_texts = [text_part(pair) if pools_one(pair) or pools_instruction(pair) else pair for pair in (first, second)]
    result = layer_divergence(*of_texts, first_layers=first.layers, second_layers=second.layers)
    means = result.by_layer
    last = len(means) - 1
    sentences = (
        f"The same tokens differ by {number(means[last])} after block {last}, by {number(means[1])} after block 1 "
        "(1 − cosine, on average).",
        _start(float(means[0]), is_t5=context.runtime.template(context.inputs.checkpoint_id) is None),
    )
    return Drawing((layer_figures.DIVERGENCE_NOT_SHOWN,), layer_figures.divergence_panels(result, a=a, b=b), sentences)


def _start(difference: float, *, is_t5: bool) -> str:
    if difference > EQUAL:
        return (
            f"They start {number(difference)} apart: positions are added to tokens, and a longer prompt moves the text."
        )
    return f"They start equal, at 0{': T5 adds no position to what it embeds' if is_t5 else ''}."


def explain_read_out(context: Context) -> Drawing:
    """The similarity matrix that each layer would give."""
    inputs, encoder, selected = context.inputs, context.encoder, context.selected
    texts = inputs.texts[:MAX_LAYER_TEXTS]
    instruction = inputs.instructions[selected.instruction]
    encoded = encoder.encode_tokens([(instruction, text) for text in texts], deep=True)
    read = [
        pool_layers(encoder.read_out(pair.layers), pair.pooling_mask) for pair in encoded if pair.layers is not None
    ]
    result = layer_similarity(np.stack(read, axis=1))
    last = len(result.matrices) - 1
    layer = min(int(context.options["explain.layer"]), last)
    chosen = [layer] if layer == last else [layer, last]
    sentences = [f"Layer {layer} of {last}, read out as the last one is: final norm, pooling, linear layers."]
    if len(inputs.texts) > len(texts):
        sentences.append(f"The first {len(texts)} of {len(inputs.texts)} texts are shown.")
    drawn = layer_figures.layer_similarity_panels(result, chosen, texts, instruction=selected.instruction)
    return Drawing((layer_figures.READ_OUT_NOT_SHOWN,), drawn, tuple(sentences))


def explain_attention(context: Context) -> Drawing:
    """Where the text's tokens look: at the instruction, at the text, at ``</s>``."""
    pair = (context.inputs.instructions[context.selected.instruction], context.inputs.texts[context.selected.row])
    (encoded,) = context.encoder.encode_tokens([pair], deep=True)
    if encoded.attentions is None:
        raise ValueError("deep encodings carry their attention weights")
    result = segment_attention(encoded.attentions, encoded.segments)
    shares = result.by_layer
    top = int(shares[:, 0].argmax())
    sentences = (
        f"Text tokens give the instruction {shares[:, 0].mean():.0%} of their attention on average, most in block "
        f"{top + 1} ({shares[top, 0]:.0%}); an even spread would give {result.even[0]:.0%}.",
    )
    return Drawing((layer_figures.ATTENTION_NOT_SHOWN,), layer_figures.attention_panels(result), sentences)


def explain_writes(context: Context) -> Drawing:
    """Who wrote the cosine of two texts, under one instruction or two, and what it is without any."""
    encoder, instructions, texts = context.encoder, context.inputs.instructions, _texts(context)
    which = list(dict.fromkeys(_instructions(context)))
    shares = []
    for k in which:
        encoded = encoder.encode_tokens([(instructions[k], text) for text in texts], deep=True)
        first, second = (encoder.direct_writes(pair, read_groups(pair.segments, pair.n_encoded)) for pair in encoded)
        shares.append(write_shares(first, second))
    plain = encoder.encode([("", text) for text in texts])
    without = float(cosine_matrix(plain[:1], plain[1:])[0, 0])
    sentences = [
        f"Under {letter(k)}, {layer_figures.write_sentence(result)}" for result, k in zip(shares, which, strict=True)
    ]
    sentences.append(f"With the instruction deleted their cosine is {number(without)}.")
    panels = layer_figures.write_panels(shares, which, instructions)
    return Drawing((layer_figures.WRITES_NOT_SHOWN,), panels, tuple(sentences))


def explain_boundary(context: Context) -> Drawing:
    """Where the instruction ends, and what other implementations would make of the same pair."""
    inputs, selected = context.inputs, context.selected
    instruction, text = inputs.instructions[selected.instruction], inputs.texts[selected.row]
    if context.runtime.template(inputs.checkpoint_id) is not None:
        return _explain_mistakes(context.encoder.encode_tokens(make_mistakes(instruction, text)))
    encoded = context.encoder.encode_tokens(recipe_pairs(instruction, text))
    found, results = boundary(encoded[0]), compare_recipes(encoded)
    title = f"text {selected.row + 1}"
    tokens = pooling_figures.boundary_rows(encoded[0], found, title=title, instruction=selected.instruction)
    recipes = pooling_figures.recipe_rows(results)
    return Drawing(
        (pooling_figures.NOT_SHOWN,),
        pooling_figures.recipe_panels(results),
        (
            pooling_figures.window_sentence(found),
            pooling_figures.boundary_sentence(found),
            *(f"{result.recipe}: {pooling_figures.recipe_sentence(result)}" for result in results[1:]),
        ),
        TokenRows((*tokens.rows, *recipes.rows), recipes.scale),
    )


def _explain_mistakes(encoded: Sequence[TokenEncoding]) -> Drawing:
    """What the usual mistakes make of a pair, for a checkpoint that is told its task by a template."""
    results = compare_mistakes(encoded)
    sentences = [pooling_figures.prompt_sentence(encoded[0].instruction)]
    sentences += [f"{result.recipe}: {pooling_figures.recipe_sentence(result)}" for result in results[1:]]
    return Drawing(
        (pooling_figures.MISTAKES_NOT_SHOWN,),
        pooling_figures.recipe_panels(results),
        tuple(sentences),
        pooling_figures.recipe_rows(results),
    )
