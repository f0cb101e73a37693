// Draws a token from each row of logits as llama.cpp's samplers top_k, top_p, min_p, temperature and
// dist do one after the other, in their order and precision. Called by drawing.py; knows nothing of
// Python.
//
// A row is read once. What is kept of it are the maxima of columns of 16 tokens each, and of these
// again the maxima of some hundred: the k-th largest of those is a bound that at least k of the
// row's tokens reach, and hardly more. Only columns that reach it are looked at again. The result is
// exact, whatever the row holds, and the same in whatever company it is drawn.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <vector>

// The loop that reads is compiled twice where the loader can choose by the CPU that it finds.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

namespace {

constexpr int64_t LANES = 32;   // columns side by side
constexpr int64_t LAYERS = 16;  // tokens of a column
constexpr int64_t BLOCK = LANES * LAYERS;
constexpr int64_t SPREAD = 8;   // maxima that a bound is taken from, for each token that is wanted
constexpr int64_t LEAST_GROUPED = 256;
constexpr size_t ROOM = 8192;   // candidates of a row, before it counts as flat
constexpr int32_t NONE = -1;

// Whole numbers in the order of the values; of equal values the larger for the lower token.
using Key = uint64_t;

Key key_of(float value, int64_t token) {
    value += 0.0f;  // the zeros are one
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const uint32_t ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
    return Key{ordered} << 32 | (0xFFFFFFFFu - static_cast<uint32_t>(token));
}

float value_of(Key key) {
    const auto ordered = static_cast<uint32_t>(key >> 32);
    const uint32_t bits = ordered >> 31 ? ordered & 0x7FFFFFFFu : ~ordered;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

int32_t token_of(Key key) {
    return static_cast<int32_t>(0xFFFFFFFFu - static_cast<uint32_t>(key));
}

// drawing.Rule, as a row of a table.
struct Rule {
    double count;  // so many of the largest; 0 for all that `depth` leaves
    double mass;
    double depth;
    double temperature;
};

struct Row {
    const float * logits;
    int64_t size;
    int64_t blocks() const { return size / BLOCK; }
};

// The maxima of a row's columns; returns whether the columns hold a NaN.
FOR_EACH_CPU
bool read_columns(const float * logits, int64_t blocks, float * maxima) {
    uint32_t unordered[LANES] = {};
    for (int64_t block = 0; block < blocks; block++) {
        const float * values = logits + block * BLOCK;
        float largest[LANES];
        for (int64_t lane = 0; lane < LANES; lane++) {
            largest[lane] = values[lane];
            unordered[lane] |= values[lane] != values[lane];
        }
        for (int64_t layer = 1; layer < LAYERS; layer++) {
            for (int64_t lane = 0; lane < LANES; lane++) {
                const float value = values[layer * LANES + lane];
                largest[lane] = largest[lane] > value ? largest[lane] : value;
                unordered[lane] |= value != value;
            }
        }
        std::memcpy(maxima + block * LANES, largest, sizeof largest);
    }
    uint32_t any = 0;
    for (uint32_t one : unordered) {
        any |= one;
    }
    return any != 0;
}

// The maxima of groups of columns: those of one lane in so many blocks.
void group_columns(const std::vector<float> & maxima, int64_t blocks, int64_t together,
                   std::vector<float> & grouped) {
    grouped.resize((blocks + together - 1) / together * LANES);
    for (int64_t block = 0; block < blocks; block++) {
        const float * from = maxima.data() + block * LANES;
        float * to = grouped.data() + block / together * LANES;
        const bool is_first = block % together == 0;
        for (int64_t lane = 0; lane < LANES; lane++) {
            to[lane] = is_first || from[lane] > to[lane] ? from[lane] : to[lane];
        }
    }
}

// Looks at one row after the other; its memory is kept for the next one.
class Reader {
public:
    // The row's largest logit, NaN if it holds one, and the token drawn, NONE if the row is flat, or
    // has no largest logit that is finite.
    void draw(Row row, const Rule & rule, double uniform, int32_t & token, float & largest) {
        token = NONE;
        largest = read(row, rule);
        if (std::isfinite(largest) && collect(row, bound(rule, largest)) && !found_.empty()) {
            order(rule);
            token = chosen(rule, uniform);
        }
    }

private:
    std::vector<float> maxima_, grouped_, ranked_;
    std::vector<Key> found_;
    std::vector<float> shares_;
    std::vector<double> sums_;
    int64_t together_ = 1;

    float read(Row row, const Rule & rule) {
        const int64_t blocks = row.blocks();
        maxima_.resize(blocks * LANES);
        bool has_nan = read_columns(row.logits, blocks, maxima_.data());
        const int64_t wanted = std::max(LEAST_GROUPED, SPREAD * static_cast<int64_t>(rule.count));
        together_ = std::max<int64_t>(1, blocks * LANES / wanted);
        group_columns(maxima_, blocks, together_, grouped_);
        float largest = -std::numeric_limits<float>::infinity();
        for (float one : grouped_) {
            largest = std::max(largest, one);
        }
        // The last few tokens fill no block.
        for (int64_t token = blocks * BLOCK; token < row.size; token++) {
            has_nan |= std::isnan(row.logits[token]);
            largest = std::max(largest, row.logits[token]);
        }
        return has_nan ? std::numeric_limits<float>::quiet_NaN() : largest;
    }

    // What a row's candidates reach at least.
    float bound(const Rule & rule, float largest) {
        const auto count = static_cast<size_t>(rule.count);
        if (count == 0) {
            return largest + static_cast<float>(rule.depth);
        }
        if (count == 1) {
            return largest;
        }
        if (grouped_.size() < count) {
            return std::numeric_limits<float>::lowest();
        }
        ranked_ = grouped_;
        const auto last = ranked_.begin() + (count - 1);
        std::nth_element(ranked_.begin(), last, ranked_.end(), std::greater<float>());
        return std::max(*last, std::numeric_limits<float>::lowest());
    }

    // Notes all tokens that reach a bound; false if there are too many.
    bool collect(Row row, float bound) {
        found_.clear();
        const int64_t blocks = row.blocks();
        for (int64_t group = 0; group < static_cast<int64_t>(grouped_.size()); group++) {
            if (grouped_[group] >= bound && !collect_group(row, group, bound)) {
                return false;
            }
        }
        for (int64_t token = blocks * BLOCK; token < row.size; token++) {
            note(row, token, bound);
        }
        return found_.size() <= ROOM;
    }

    bool collect_group(Row row, int64_t group, float bound) {
        const int64_t lane = group % LANES;
        const int64_t first = group / LANES * together_;
        const int64_t end = std::min(first + together_, row.blocks());
        for (int64_t block = first; block < end; block++) {
            if (maxima_[block * LANES + lane] >= bound) {
                for (int64_t layer = 0; layer < LAYERS; layer++) {
                    note(row, block * BLOCK + layer * LANES + lane, bound);
                }
            }
        }
        return found_.size() <= ROOM;
    }

    void note(Row row, int64_t token, float bound) {
        if (row.logits[token] >= bound) {
            found_.push_back(key_of(row.logits[token], token));
        }
    }

    // First the larger, of equal ones the one with the lower id; not more than are wanted.
    void order(const Rule & rule) {
        const auto count = static_cast<size_t>(rule.count);
        if (count > 0 && found_.size() > count) {
            std::nth_element(found_.begin(), found_.begin() + count, found_.end(),
                             std::greater<Key>());
            found_.resize(count);
        }
        std::sort(found_.begin(), found_.end(), std::greater<Key>());
    }

    int32_t chosen(const Rule & rule, double uniform) {
        const float largest = value_of(found_[0]);
        size_t size = found_.size();
        const auto mass = static_cast<float>(rule.mass);
        if (mass < 1) {
            size = within_mass(mass);
        }
        const float least = largest + static_cast<float>(rule.depth);
        while (size > 1 && value_of(found_[size - 1]) < least) {
            size--;
        }
        const auto temperature = static_cast<float>(rule.temperature);
        sums_.clear();
        double sum = 0;
        for (size_t place = 0; place < size; place++) {
            sum += std::exp(value_of(found_[place]) / temperature - largest / temperature);
            sums_.push_back(sum);
        }
        size_t place = 0;
        while (place + 1 < size && !(sums_[place] >= sum * uniform)) {
            place++;
        }
        return token_of(found_[place]);
    }

    // How many of the likeliest tokens complete the share.
    size_t within_mass(float mass) {
        const float largest = value_of(found_[0]);
        float sum = 0;
        shares_.clear();
        for (Key key : found_) {
            shares_.push_back(std::exp(value_of(key) - largest));
            sum += shares_.back();
        }
        float together = 0;
        for (size_t place = 0; place < shares_.size(); place++) {
            together += shares_[place] / sum;
            if (together >= mass) {
                return place + 1;
            }
        }
        return shares_.size();
    }
};

}  // namespace

// Draw from rows begin to end of a table.
//
// rows: logits, `size` a row. rules, uniforms: of each row. tokens, largest: are written.
// Returns 0, or 1 if memory is short. The name ends in the version of the arguments: a library with
// others, which was left behind, is not called.
extern "C" int32_t palaver_draw_2(const float * rows, int64_t size, const Rule * rules,
                                  const double * uniforms, int32_t * tokens, float * largest,
                                  int64_t begin, int64_t end) {
    try {
        Reader reader;
        for (int64_t row = begin; row < end; row++) {
            reader.draw({rows + row * size, size}, rules[row], uniforms[row], tokens[row],
                        largest[row]);
        }
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}
