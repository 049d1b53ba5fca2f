namespace Cluster.Contracts.Safetensors;

/// <summary>What a file is that was taken for a safetensors file: people hand in what they have.</summary>
internal static class ForeignFile
{
    private static readonly (byte[] Begin, string Name)[] Known =
    [
        ([.. "PK"u8, 3, 4], "a zip archive, as torch.save (.pt, .pth) and Keras (.keras) write"),
        ([0x80, 2], "a pickle, as torch.save wrote before PyTorch 1.6"),
        ([0x80, 3], "a pickle"),
        ([0x80, 4], "a pickle"),
        ([0x80, 5], "a pickle"),
        ([0x89, .. "HDF\r\n\x1A\n"u8], "an HDF5 file, as Keras writes (.h5)"),
        ([0x93, .. "NUMPY"u8], "a NumPy array (.npy)"),
        ([.. "GGUF"u8], "a GGUF file"),
        ([0x1F, 0x8B], "compressed with gzip"),
        ([0x28, 0xB5, 0x2F, 0xFD], "compressed with zstd"),
        ([0xFD, .. "7zXZ"u8], "compressed with xz"),
        ([.. "BZh"u8], "compressed with bzip2"),
        ([.. "version "u8], "a pointer of Git LFS: the file itself has not been fetched (git lfs pull)"),
        ([.. "<!DOCTY"u8], "a web page"),
        ([.. "<!docty"u8], "a web page"),
        ([.. "<html"u8], "a web page"),
        ([.. "{"u8], "a JSON file"),
    ];

    /// <summary>
    /// What a file with these first 8 bytes most likely is, in words that follow "it is"; null where nothing can be said.
    /// </summary>
    public static string? NameOf(ReadOnlySpan<byte> firstBytes)
    {
        foreach (var (begin, name) in Known)
        {
            if (firstBytes.StartsWith(begin))
                return name;
        }

        return firstBytes[4..8].SequenceEqual("TFL3"u8) ? "a TensorFlow Lite file" : IsOnnx(firstBytes) ? "an ONNX file" : null;
    }

    /// <summary>
    /// onnx.proto, ModelProto: ir_version (field 1, a small number), then the producer's name (2), the operator sets (8) or the graph (7).
    /// </summary>
    private static bool IsOnnx(ReadOnlySpan<byte> firstBytes) => firstBytes is [0x08, > 0 and < 0x20, 0x12 or 0x42 or 0x3A, ..];
}
