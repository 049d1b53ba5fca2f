namespace Cluster.Worker.Collectives;

/// <summary>
/// This rank's part of a file that all ranks of its node map: a tensor made with <c>torch.from_file(Path, shared: true, …)</c> over the
/// first Offset + Bytes bytes of it, narrowed to this part, is seen by the peers where it lies.
/// </summary>
/// <param name="path">The file to map.</param>
/// <param name="offset">Where this rank's part begins, in bytes.</param>
/// <param name="bytes">Size of this rank's part.</param>
public sealed class SharedBuffer(string path, long offset, long bytes)
{
    public string Path { get; } = path;

    /// <summary>A multiple of 4096.</summary>
    public long Offset { get; } = offset;

    /// <summary>A multiple of 4096, at least what was asked for.</summary>
    public long Bytes { get; } = bytes;

    /// <summary>
    /// Where the caller has mapped this rank's part. Set it on every rank or on none: from then on values within this memory are
    /// summed where they lie.
    /// </summary>
    public nint Address { get; set; }

    /// <summary>The position of [address, address + length) within this part; null if it does not lie in it.</summary>
    internal long? Find(nint address, long length)
    {
        var position = (long)address - Address;
        return Address != 0 && position >= 0 && position + length <= Bytes ? position : null;
    }
}
