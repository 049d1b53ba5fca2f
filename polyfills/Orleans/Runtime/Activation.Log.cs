using Microsoft.Extensions.Logging;

namespace Orleans.Runtime;

internal sealed partial class Activation
{
    [LoggerMessage(Level = LogLevel.Error, Message = "Grain {GrainId} could not be activated.")]
    private static partial void LogActivationFailed(ILogger logger, Exception exception, GrainId grainId);

    [LoggerMessage(Level = LogLevel.Error, Message = "OnDeactivateAsync of grain {GrainId} failed (reason: {Reason}).")]
    private static partial void LogDeactivationFailed(ILogger logger, Exception exception, GrainId grainId, DeactivationReason reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Disposing grain {GrainId} failed.")]
    private static partial void LogDisposalFailed(ILogger logger, Exception exception, GrainId grainId);

    [LoggerMessage(Level = LogLevel.Error, Message = "What grain {GrainId} registered with a cancellation token threw.")]
    private static partial void LogTurnFailed(ILogger logger, Exception exception, GrainId grainId);
}
