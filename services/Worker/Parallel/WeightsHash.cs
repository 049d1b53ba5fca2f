using System.Security.Cryptography;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>A fingerprint of a rank's weights, to find replicas that differ.</summary>
internal static class WeightsHash
{
    public static byte[] Of(IReadOnlyList<LocalParameter> parameters)
    {
        using var scope = torch.NewDisposeScope();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var parameter in parameters)
            hash.AppendData(parameter.Tensor.detach().cpu().contiguous().bytes);
        return hash.GetHashAndReset();
    }
}
