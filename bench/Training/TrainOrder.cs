using Cluster.Contracts;

namespace Cluster.Bench.Training;

/// <summary>What the ranks of a contestant are to do next.</summary>
/// <param name="Steps">Optimizer steps to time, after one that is not counted; 0: compute loss and gradients only, without dropout, and write the gradients to <paramref name="File"/>.</param>
/// <param name="File">A safetensors file, which rank 0 writes.</param>
/// <param name="MemoryFormat">Of our images where nothing is timed; the peer's are contiguous.</param>
internal sealed record TrainOrder(int Steps, string File = "", string MemoryFormat = MemoryFormats.Auto);

/// <summary>A rank's answer.</summary>
/// <param name="Seconds">A step.</param>
/// <param name="Loss">Of the last step's batch; of all ranks together where nothing was timed.</param>
internal sealed record TrainAnswer(double Seconds, double Loss);
