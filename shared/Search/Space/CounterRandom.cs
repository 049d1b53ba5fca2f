namespace Cluster.Search.Space;

/// <summary>
/// Random numbers that are a pure function of seed, hyperparameter and trial: a trial's settings depend on nothing that was drawn before.
/// </summary>
/// <remarks>SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, Fig. 17) read at
/// an arbitrary position, keyed by the seed and the hyperparameter's path (FNV-1a over its UTF-16 code units).</remarks>
internal static class CounterRandom
{
    private const ulong Gamma = 0x9E3779B97F4A7C15;

    /// <summary>Uniform in [0, 1), 53 bits.</summary>
    public static double Uniform(ulong seed, string path, int trial)
    {
        var name = 0xCBF29CE484222325UL;
        foreach (var unit in path)
            name = (name ^ unit) * 0x100000001B3UL;
        var key = Mix(Mix(seed + Gamma) ^ name);
        return (Mix(key + (((ulong)trial + 1) * Gamma)) >> 11) * (1.0 / (1UL << 53));
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
