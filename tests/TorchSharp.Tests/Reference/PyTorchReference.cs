using System.Diagnostics;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.Reference;

/// <summary>PyTorch's answers to every case of reference.py, from one Python process.</summary>
public sealed class PyTorchReference : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("torch-reference-");
    private readonly Dictionary<string, Record[]> _index = [];
    private readonly byte[] _data = [];

    public PyTorchReference()
    {
        var script = Path.Combine(AppContext.BaseDirectory, "Reference", "reference.py");
        var start = new ProcessStartInfo("/usr/bin/python3", [script, _folder.FullName]) { UseShellExecute = false, RedirectStandardError = true };
        using var python = Process.Start(start)!;
        var errors = python.StandardError.ReadToEnd();
        python.WaitForExit();
        if (errors.Contains("No module named 'torch'", StringComparison.Ordinal))
        {
            Missing = "Debian's python3-torch is not installed";
            return;
        }
        python.ExitCode.ShouldBe(0, errors);
        _data = File.ReadAllBytes(Path.Combine(_folder.FullName, "data.bin"));
        _index = JsonSerializer.Deserialize<Dictionary<string, Record[]>>(
            File.ReadAllText(Path.Combine(_folder.FullName, "index.json")), JsonSerializerOptions.Web)!;
    }

    /// <summary>Why there are no answers, null where there are.</summary>
    public string? Missing { get; }

    public IReadOnlyCollection<string> Cases => _index.Keys;

    public Tensor[] Read(string name, string role) =>
        [.. _index[name].Where(record => record.Role == role).Select(record => ToTensor(record))];

    public void Dispose() => _folder.Delete(true);

    private Tensor ToTensor(Record record)
    {
        var result = empty(record.Shape, record.Dtype switch
        {
            "float64" => ScalarType.Float64,
            "float32" => ScalarType.Float32,
            "int64" => ScalarType.Int64,
            "bool" => ScalarType.Bool,
            _ => throw new InvalidOperationException($"reference.py wrote {record.Dtype}")
        });
        var bytes = (int)(result.NumberOfElements * result.ElementSize);
        result.bytes = _data.AsSpan(record.Offset, bytes).ToArray();
        return result;
    }

    private sealed record Record(string Role, long[] Shape, string Dtype, int Offset);
}
