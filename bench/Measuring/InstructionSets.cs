namespace Cluster.Bench.Measuring;

/// <summary>Up to which of the processor's instruction sets a contestant computes.</summary>
/// <param name="Name">As the command line and the tables have it.</param>
/// <param name="Variables">Environment that holds every library to it.</param>
internal sealed record InstructionSets(string Name, IReadOnlyDictionary<string, string> Variables)
{
    /// <summary>Whatever the libraries choose on this processor.</summary>
    public static InstructionSets Native { get; } = new("native", new Dictionary<string, string>());

    /// <summary>No AVX-512, as on most processors that are not servers' and on AMD's before Zen 4.</summary>
    public static InstructionSets Avx2 { get; } = new("avx2", new Dictionary<string, string>
    {
        ["ATEN_CPU_CAPABILITY"] = "avx2",
        ["ONEDNN_MAX_CPU_ISA"] = "AVX2",
        ["MKL_ENABLE_INSTRUCTIONS"] = "AVX2",
        ["OPENBLAS_CORETYPE"] = "Haswell", // the BLAS of Debian's PyTorch
        ["DOTNET_EnableAVX512"] = "0",
    });

    public static IReadOnlyList<InstructionSets> All { get; } = [Native, Avx2];
}
