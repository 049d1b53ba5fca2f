using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Cluster.Worker.Data;

/// <summary>What two copies of a data set have in common if they are the same, short enough for ranks to exchange.</summary>
internal sealed class DataFingerprint
{
    private static readonly string[] PartNames = ["train", "val", "test"];

    // Of each part: samples, and digests of their names, classes and contents, in the parts' order.
    private static readonly string[] PartWords = ["", "names", "classes", "sizes"];

    private readonly ImageDataSet data;
    private readonly ImagePart?[] parts;

    /// <param name="data">To take it of.</param>
    /// <param name="notes">Is told how far it is.</param>
    public DataFingerprint(ImageDataSet data, DataNotes? notes = null)
    {
        this.data = data;
        parts = [data.Train, data.Validation, data.Test];
        float[] normalization = [.. data.Normalization.Mean, .. data.Normalization.Deviation];
        Values = [.. parts.SelectMany(part => OfPart(part, notes)),
            Shortened(SHA256.HashData(MemoryMarshal.AsBytes(normalization.AsSpan())))];
    }

    /// <summary>Equal where the copies are.</summary>
    public long[] Values { get; }

    /// <summary>The samples of each class in each part.</summary>
    public long[] ClassCounts()
    {
        var classes = data.Definition.Classes;
        var counts = new long[parts.Length * classes];
        for (var part = 0; part < parts.Length; part++)
        {
            for (var sample = 0; sample < Count(part); sample++)
                counts[(part * classes) + parts[part]!.Label(sample)]++;
        }

        return counts;
    }

    /// <summary>What differs between two copies, in words.</summary>
    /// <param name="one">A copy's values.</param>
    /// <param name="other">Another's.</param>
    /// <param name="oneCounts">The copy's samples of each class.</param>
    /// <param name="otherCounts">The other's.</param>
    /// <param name="nodes">Where they are.</param>
    public string Difference(
        ReadOnlySpan<long> one, ReadOnlySpan<long> other, ReadOnlySpan<long> oneCounts, ReadOnlySpan<long> otherCounts,
        (string One, string Other) nodes)
    {
        var classes = data.Definition.Classes;
        var found = new List<string>();
        for (var part = 0; part < parts.Length; part++)
        {
            var at = part * PartWords.Length;
            if (one[at] != other[at])
                found.Add($"{PartNames[part]} has {one[at]} samples on {nodes.One} and {other[at]} on {nodes.Other}");
            found.AddRange(
                ClassesThatDiffer(part, oneCounts.Slice(part * classes, classes), otherCounts.Slice(part * classes, classes), nodes));
            // Where samples are missing, names and all else differ with them.
            if (one[at] == other[at])
            {
                for (var word = 1; word < PartWords.Length; word++)
                {
                    if (one[at + word] != other[at + word])
                        found.Add($"the {PartWords[word]} of {PartNames[part]}'s samples differ");
                }
            }
        }

        if (one[^1] != other[^1])
            found.Add("the normalization measured from the pictures differs");
        return string.Join("; ", found);
    }

    private List<string> ClassesThatDiffer(int part, ReadOnlySpan<long> one, ReadOnlySpan<long> other, (string One, string Other) nodes)
    {
        const int MostTold = 3;
        var (found, more) = (new List<string>(), 0);
        for (var label = 0; label < one.Length; label++)
        {
            if (one[label] == other[label])
                continue;
            if (found.Count < MostTold)
                found.Add($"{PartNames[part]}'s class {ClassName(part, label)} has {one[label]} on {nodes.One} and "
                    + $"{other[label]} on {nodes.Other}");
            else
                more++;
        }

        if (more > 0)
            found.Add($"so it is with {more} more of its classes");
        return found;
    }

    private string ClassName(int part, int label) => parts[part]?.ClassName(label) ?? $"{label}";

    private int Count(int part) => parts[part]?.Count ?? 0;

    private static long[] OfPart(ImagePart? part, DataNotes? notes)
    {
        using var names = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var classes = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var contents = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var count = part?.Count ?? 0;
        for (var sample = 0; sample < count; sample++)
        {
            var (name, content) = part!.Identity(sample);
            names.AppendData(Encoding.UTF8.GetBytes(name + '\0'));
            Append(classes, part.Label(sample));
            Append(contents, content);
            notes?.See(1);
        }

        return [count, Shortened(names.GetHashAndReset()), Shortened(classes.GetHashAndReset()), Shortened(contents.GetHashAndReset())];
    }

    private static void Append(IncrementalHash hash, long value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        hash.AppendData(bytes);
    }

    private static long Shortened(byte[] digest) => BinaryPrimitives.ReadInt64LittleEndian(digest);
}
