namespace Cluster.Worker.Collectives;

/// <summary>
/// This rank's part of a file that all ranks of its node map: a tensor made with <c>torch.from_file(Path, shared: true, …)</c> over the
/// first Offset + Bytes bytes of it, narrowed to this part, is seen by the peers where it lies.
/// </summary>
/// <param name="Path">The file to map.</param>
/// <param name="Offset">Where this rank's part begins, in bytes; a multiple of 4096.</param>
/// <param name="Bytes">Size of this rank's part; a multiple of 4096.</param>
public sealed record SharedBuffer(string Path, long Offset, long Bytes);
