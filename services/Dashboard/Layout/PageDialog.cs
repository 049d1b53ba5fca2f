using Microsoft.AspNetCore.Components;
using Microsoft.FluentUI.AspNetCore.Components;
using Microsoft.JSInterop;

namespace Cluster.Dashboard.Layout;

/// <summary>A dialog that asks for something, or leaves all as it is; it goes when its page is left.</summary>
public abstract class PageDialog : FluentDialogInstance, IDisposable
{
    private IDisposable? _leaving;

    [Inject]
    protected NavigationManager Navigation { get; set; } = null!;

    [Inject]
    private IJSRuntime Script { get; set; } = null!;

    /// <summary>What it asks; also its name for those who do not see it.</summary>
    protected abstract string Question { get; }

    /// <summary>What the button says that does it.</summary>
    protected abstract string ActLabel { get; }

    /// <summary>What who has opened the dialog is told.</summary>
    protected abstract object Answer { get; }

    public void Dispose()
    {
        _leaving?.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override void OnInitializeDialog(DialogOptionsHeader header, DialogOptionsFooter footer)
    {
        footer.PrimaryAction.Label = ActLabel;
        footer.SecondaryAction.Label = "Leave it";
        _leaving = Navigation.RegisterLocationChangingHandler(async _ => await DialogInstance.CancelAsync());
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (firstRender)
            await Script.InvokeVoidAsync("nameDialog", DialogInstance.Id, Figures.Visible(Question));
    }

    protected override Task OnActionClickedAsync(bool primary) =>
        primary ? DialogInstance.CloseAsync(Answer) : DialogInstance.CancelAsync();
}
