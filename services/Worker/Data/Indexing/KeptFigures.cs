namespace Cluster.Worker.Data.Indexing;

/// <summary>
/// Figures that a rank has taken of a data set's samples, for the others of its node that have asked before: they follow from what is in
/// files, which may be replaced without a trace in their folders, and so serve nobody who asks later.
/// </summary>
internal static class KeptFigures
{
    private const int MaxBytes = 4096;

    private static readonly byte[] Magic = [.. "CLDATDG1"u8];

    /// <summary>Null where there are none of this index that were taken since.</summary>
    /// <param name="path">Where they are kept.</param>
    /// <param name="index">That the samples were read by.</param>
    /// <param name="since">By the machine's monotonic clock.</param>
    public static long[]? Find(string path, Checksum index, long since)
    {
        try
        {
            if (new FileInfo(path) is not { Exists: true, Length: <= MaxBytes and > Checksum.Bytes })
                return null;
            var bytes = File.ReadAllBytes(path);
            using var reader = new BinaryReader(new MemoryStream(bytes));
            var isWhole = reader.ReadBytes(Magic.Length).AsSpan().SequenceEqual(Magic)
                && Checksum.Read(reader) == Checksum.Of(bytes.AsSpan((int)reader.BaseStream.Position));
            return isWhole && new Guid(reader.ReadBytes(16)) == Boot.Id && Checksum.Read(reader) == index && reader.ReadInt64() >= since
                ? [.. Enumerable.Range(0, reader.ReadInt32()).Select(_ => reader.ReadInt64())]
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    /// <param name="path">Where they are to be kept.</param>
    /// <param name="aside">Where they are written first.</param>
    /// <param name="index">That the samples were read by.</param>
    /// <param name="takenAt">When the taking began.</param>
    /// <param name="figures">The same number for every data set.</param>
    public static void Keep(string path, string aside, Checksum index, long takenAt, long[] figures)
    {
        using var content = new MemoryStream();
        using var writer = new BinaryWriter(content);
        writer.Write(Boot.Id.ToByteArray());
        index.Write(writer);
        writer.Write(takenAt);
        writer.Write(figures.Length);
        foreach (var figure in figures)
            writer.Write(figure);
        using (var file = new BinaryWriter(File.Create(aside)))
        {
            file.Write(Magic);
            Checksum.Of(content.ToArray()).Write(file);
            file.Write(content.ToArray());
        }

        File.Move(aside, path, overwrite: true);
    }
}
