// Draws one token for each output of the last evaluation, the way llama-server's slots do: fill an
// array of candidates from the row of logits, apply the chain, ask the grammar about the token
// drawn and only then about all of them, accept. Built and loaded by bench/host_cost.py.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

extern "C" {

struct token_data { int32_t id; float logit; float p; };
struct token_data_array { token_data * data; size_t size; int64_t selected; bool sorted; };

float * llama_get_logits_ith(void * context, int32_t output);
void llama_sampler_apply(void * sampler, token_data_array * candidates);
void llama_sampler_accept(void * sampler, int32_t token);
void llama_sampler_reset(void * sampler);

static std::vector<token_data> candidates;

static token_data_array filled(void * context, int32_t output, int32_t vocab) {
    const float * logits = llama_get_logits_ith(context, output);
    candidates.resize(vocab);
    for (int32_t id = 0; id < vocab; id++) {
        candidates[id] = token_data{id, logits[id], 0.0f};
    }
    return token_data_array{candidates.data(), candidates.size(), -1, false};
}

static int32_t drawn(void * context, int32_t output, int32_t vocab, void * chain, void * grammar) {
    token_data_array array = filled(context, output, vocab);
    llama_sampler_apply(chain, &array);
    int32_t token = array.data[array.selected].id;
    if (grammar == nullptr) {
        return token;
    }
    token_data single = {token, 1.0f, 0.0f};
    token_data_array one = {&single, 1, -1, false};
    llama_sampler_apply(grammar, &one);
    if (single.logit != -INFINITY) {
        return token;
    }
    array = filled(context, output, vocab);
    llama_sampler_apply(grammar, &array);
    llama_sampler_apply(chain, &array);
    return array.data[array.selected].id;
}

// `grammars` may be null; a grammar begins anew when its reply ends with the token `end`.
void draw_all(
    void * context, const int32_t * outputs, int32_t count, int32_t vocab, void ** chains,
    void ** grammars, int32_t end, int32_t * tokens
) {
    for (int32_t i = 0; i < count; i++) {
        void * grammar = grammars == nullptr ? nullptr : grammars[i];
        tokens[i] = drawn(context, outputs[i], vocab, chains[i], grammar);
        if (grammar != nullptr && tokens[i] == end) {
            llama_sampler_reset(grammar);
        } else if (grammar != nullptr) {
            llama_sampler_accept(grammar, tokens[i]);
        }
        llama_sampler_accept(chains[i], tokens[i]);
    }
}

}
