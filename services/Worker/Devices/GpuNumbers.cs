using System.Globalization;

namespace Cluster.Worker.Devices;

/// <summary>
/// Numbers the GPUs that a node offers, <c>cuda:N</c>: once a GPU has one it keeps it over restarts, whatever else is added, taken out,
/// hidden or divided by MIG. So a job's devices and a diagram's lines stay those of one card.
/// </summary>
internal static class GpuNumbers
{
    /// <summary>The numbers that <paramref name="file"/> knows and new ones, which it then knows too.</summary>
    /// <param name="file">A line for each GPU: its number and its UUID.</param>
    /// <param name="gpus">In the order in which new ones get their numbers.</param>
    /// <returns>By number.</returns>
    /// <exception cref="InvalidDataException">The file holds something else.</exception>
    public static IReadOnlyList<OfferedGpu> Keep(string file, IReadOnlyList<Gpu> gpus)
    {
        if (gpus.Count == 0)
            return [];
        var known = File.Exists(file) ? Read(file) : [];
        var numbers = Assign(known, [.. gpus.Select(gpu => gpu.Uuid)]);
        if (!numbers.OrderBy(pair => pair.Value).SequenceEqual(known.OrderBy(pair => pair.Value)))
        {
            // Written aside and moved, so that a crash leaves either the old ones or the new.
            var lines = numbers.OrderBy(pair => pair.Value).Select(pair => FormattableString.Invariant($"{pair.Value} {pair.Key}"));
            File.WriteAllLines(file + ".new", lines);
            File.Move(file + ".new", file, overwrite: true);
        }

        return [.. gpus.OrderBy(gpu => numbers[gpu.Uuid]).Select(gpu => new OfferedGpu(IdOf(numbers[gpu.Uuid]), gpu))];
    }

    /// <summary>
    /// A new GPU gets the lowest number that none of those present has; one that is absent keeps its number unless a new one has taken
    /// it.
    /// </summary>
    public static Dictionary<string, int> Assign(IReadOnlyDictionary<string, int> known, IReadOnlyList<string> present)
    {
        var numbers = present.Where(known.ContainsKey).ToDictionary(uuid => uuid, uuid => known[uuid]);
        foreach (var uuid in present.Except(known.Keys))
            numbers.Add(uuid, Enumerable.Range(0, present.Count).First(number => !numbers.ContainsValue(number)));
        foreach (var (uuid, number) in known)
        {
            if (!numbers.ContainsValue(number))
                numbers.TryAdd(uuid, number);
        }

        return numbers;
    }

    private static string IdOf(int number) => FormattableString.Invariant($"cuda:{number}");

    private static Dictionary<string, int> Read(string file)
    {
        var known = new Dictionary<string, int>();
        foreach (var line in File.ReadLines(file))
        {
            if (line.Split(' ') is not [var text, var uuid]
                || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                || known.ContainsValue(number)
                || !known.TryAdd(uuid, number))
            {
                throw new InvalidDataException(
                    $"{file} holds '{line}', which is not a GPU's number and UUID; delete the file to number them anew");
            }
        }

        return known;
    }
}
