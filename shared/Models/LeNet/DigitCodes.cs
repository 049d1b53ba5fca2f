namespace Cluster.Models.LeNet;

/// <summary>
/// The fixed targets of LeNet-5's output units: LeCun et al. 1998, §II.B: bitmaps of 7×12 pixels, +1 in ink and −1 elsewhere.
/// </summary>
/// <remarks>
/// Drawn after the style of Fig. 3, which shows the whole of ASCII; classes beyond the digits have the random codes that the paper names as
/// the alternative.
/// </remarks>
public static class DigitCodes
{
    /// <summary>Pixels of a code, which are F6's units.</summary>
    public const int Bits = 84;

    private static readonly string[] Digits =
    [
        ".......|..###..|.##.##.|##...##|##...##|##...##|##...##|##...##|##...##|.##.##.|..###..|.......",
        ".......|...##..|..###..|.####..|...##..|...##..|...##..|...##..|...##..|...##..|.######|.......",
        ".......|.#####.|##...##|##...##|.....##|....##.|...##..|..##...|.##....|##.....|#######|.......",
        ".......|#######|....##.|...##..|..##...|..####.|.....##|.....##|.....##|##...##|.#####.|.......",
        ".......|....##.|...###.|..####.|.##.##.|##..##.|##..##.|#######|....##.|....##.|....##.|.......",
        ".......|#######|##.....|##.....|######.|##...##|.....##|.....##|.....##|##...##|.#####.|.......",
        ".......|..####.|.##....|##.....|##.....|######.|##...##|##...##|##...##|##...##|.#####.|.......",
        ".......|#######|##...##|.....##|....##.|....##.|...##..|...##..|..##...|..##...|..##...|.......",
        ".......|.#####.|##...##|##...##|##...##|.#####.|##...##|##...##|##...##|##...##|.#####.|.......",
        ".......|.#####.|##...##|##...##|##...##|.######|.....##|.....##|.....##|....##.|.####..|.......",
    ];

    /// <summary>The codes of classes 0 to <paramref name="classes"/> − 1, one after the other.</summary>
    public static double[] Of(int classes) => [.. Enumerable.Range(0, classes).SelectMany(Code)];

    private static IEnumerable<double> Code(int @class)
    {
        if (@class < Digits.Length)
            return Digits[@class].Where(pixel => pixel != '|').Select(pixel => pixel == '#' ? 1.0 : -1.0);
        var key = CounterRandom.Key(CounterRandom.Word("class code"), (ulong)@class);
        return Enumerable.Range(0, Bits).Select(bit => (CounterRandom.Bits(key, (ulong)bit) & 1) == 0 ? -1.0 : 1.0);
    }
}
