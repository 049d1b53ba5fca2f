namespace Cluster.Bench.Training;

/// <summary>What the ranks of a contestant are to do next.</summary>
/// <param name="Steps">Optimizer steps to time, after one that is not counted; 0: compute loss and gradients only, without dropout, and
/// write the gradients to <paramref name="Folder"/>.</param>
/// <param name="Folder">For a safetensors file of each rank that owns parameters.</param>
/// <param name="Precision">Of the peer where nothing is timed, float64 among them; ours is the case's.</param>
/// <param name="ProfilesExchange">Whether our ranks tell how their gradients' exchange lay in the step.</param>
internal sealed record TrainOrder(int Steps, string Folder = "", string Precision = TrainCase.Float32, bool ProfilesExchange = false);

/// <summary>A rank's answer.</summary>
/// <param name="Seconds">A step.</param>
/// <param name="Loss">Of the last step's batch; of all ranks together where nothing was timed.</param>
/// <param name="Exchange">If it was asked for.</param>
internal sealed record TrainAnswer(double Seconds, double Loss, ExchangeProfile? Exchange = null);
