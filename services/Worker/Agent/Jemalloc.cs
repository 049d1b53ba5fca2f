namespace Cluster.Worker.Agent;

/// <summary>
/// The allocator that trainers run on. Steps allocate and free the same tensors over and over: jemalloc takes the same memory for them in
/// each run of a job, within some percent, where glibc's heap, which places an aligned tensor in a freed one's memory only if that is
/// larger, was seen to take from 577 to 1031 MiB.
/// </summary>
internal static class Jemalloc
{
    private const string Library = "libjemalloc.so.2";

    private static readonly string[] Folders =
        [AppContext.BaseDirectory, "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

    /// <summary>Of the library; null if this machine has none.</summary>
    public static string? Path { get; } = Find(Folders);

    public const string Missing =
        $"{Library} is not installed (Debian's libjemalloc2): trainers use the C library's heap, which can need half as much memory "
            + "again as they are placed by";

    internal static string? Find(IEnumerable<string> folders) =>
        folders.Select(folder => System.IO.Path.Combine(folder, Library)).FirstOrDefault(File.Exists);
}
